"""From a request to prompt tokens. No text that a person wrote ever becomes a control token.

A rendered conversation holds the template's own control tokens (``<start_of_turn>`` and the like), which must be
recognised, beside the words of people, in which the same characters must stay characters. Where no message contains
the text of a control token, which is nearly always, the whole is tokenised at once. Otherwise each such text is
replaced by a random marker before rendering, and what the marker stood for is tokenised apart, as plain characters.
"""

from __future__ import annotations

import re
import secrets
from functools import partial
from typing import TYPE_CHECKING

from appliance.engine.errors import EngineRefusedError
from appliance.engine.prefix_tree import agreement
from appliance.engine.protocol import Message
from appliance.engine.tools.offer import offer_of
from appliance.engine.tools.words import rewritten, tool_rewritten, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.context import Context
    from appliance.engine.protocol import Request, Tool
    from appliance.engine.template import ChatTemplate
    from appliance.engine.tools.offer import Offer

_OPENINGS = 256  # shared beginnings that are remembered
_PROBES = ("0", "x")  # two messages that differ from their first character on


class PromptReader:
    """Tokenises requests for one model. Safe from any thread."""

    def __init__(self, context: Context, template: ChatTemplate) -> None:
        self._context = context
        self._template = template
        self._openings: dict[tuple[Message, ...], tuple[int, ...]] = {}
        texts = sorted((re.escape(text) for text in context.control_texts if text), key=len, reverse=True)
        self._control = re.compile("|".join(texts)) if texts else None

    def stops(self, request: Request) -> tuple[str, ...]:
        """Stop strings of ``request``: its own and, for a conversation, the template's."""
        return request.stop + (self._template.stops if request.messages is not None else ())

    def tokens(self, request: Request) -> tuple[int, ...]:
        """Prompt tokens of ``request``. Raises ``EngineRefusedError`` when the template refuses it."""
        if request.prompt is not None:
            return tuple(self._context.tokenize(request.prompt, control=False, begin=True))
        shown = () if request.tool_choice == "none" else request.tools
        return tuple(self._conversation(request.messages or (), shown))

    def offer(self, request: Request) -> Offer | None:
        """What the model may call. Raises ``EngineRefusedError`` where it may not, or cannot, be offered."""
        family = self._template.family if request.messages is not None else None
        if family is None and any(m.role == "tool" or m.tool_calls for m in request.messages or ()):
            raise EngineRefusedError("tools_unsupported", "the model's chat template has no calls of tools to tell of")
        return offer_of(request, family)

    def shared(self, request: Request, tokens: tuple[int, ...]) -> tuple[int, int]:
        """How many of ``tokens`` the site wrote, and how many the site and the group together wrote.

        A token that a person's words could have changed is not among them: of a conversation, only what stays the same
        whatever a user says next; of a prompt, only tokens that the shared characters alone give too.
        """
        site, group = self._beginnings(request)
        return (agreement(site, tokens), agreement(group, tokens))

    def _beginnings(self, request: Request) -> tuple[tuple[int, ...], tuple[int, ...]]:
        if request.prompt is not None:
            ends = (request.site_characters, max(request.site_characters, request.group_characters))
            site, group = (self._beginning(request.prompt[:end]) if end else () for end in ends)
            return site, group
        messages = request.messages or ()
        by_site = tuple(m for m in messages if m.scope == "site")
        by_both = tuple(m for m in messages if m.scope != "user")
        return self._opening(by_site), self._opening(by_both)

    def _beginning(self, text: str) -> tuple[int, ...]:
        return tuple(self._context.tokenize(text, control=False, begin=True))

    def _opening(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        """Tokens of ``messages`` and of what the template puts after them, whatever a user says then."""
        if not messages:
            return ()
        known = self._openings.get(messages)
        if known is None:
            known = self._common(messages)
            if len(self._openings) >= _OPENINGS:
                self._openings.clear()
            self._openings[messages] = known
        return known

    def _common(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        try:
            one, other = (tuple(self._conversation((*messages, Message("user", probe)))) for probe in _PROBES)
        except EngineRefusedError:
            return ()  # a template that does not let a user speak next has no beginning to share
        return one[: agreement(one, other)]

    def _conversation(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> list[int]:
        if self._control is None or not any(map(self._control.search, words(messages, tools))):
            return self._context.tokenize(self._template.render(messages, tools), control=True, begin=True)
        mark = secrets.token_hex(12)
        taken: list[str] = []

        def mask(found: re.Match[str]) -> str:
            taken.append(found.group())
            return f"{mark}{len(taken) - 1}."

        hide = partial(self._control.sub, mask)
        masked = tuple(rewritten(message, hide) for message in messages)
        offered = tuple(tool_rewritten(tool, hide) for tool in tools)
        parts = re.split(rf"{mark}(\d+)\.", self._template.render(masked, offered))
        tokens: list[int] = []
        for index, part in enumerate(parts):
            plain = index % 2 == 1
            text = taken[int(part)] if plain else part
            tokens += self._context.tokenize(text, control=not plain, begin=index == 0)
        return tokens
