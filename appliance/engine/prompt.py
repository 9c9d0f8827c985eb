"""From a request to prompt tokens. No text that a person wrote ever becomes a control token.

A rendered conversation holds the template's own control tokens (``<start_of_turn>`` and the like), which must be
recognised, beside the words of people, in which the same characters must stay characters. Where no message contains
the text of a control token, which is nearly always, the whole is tokenised at once. Otherwise each such text is
replaced by a random marker before rendering, and what the marker stood for is tokenised apart, as plain characters.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.context import Context
    from appliance.engine.protocol import Message, Request
    from appliance.engine.template import ChatTemplate


class PromptReader:
    """Tokenises requests for one model. Safe from any thread."""

    def __init__(self, context: Context, template: ChatTemplate) -> None:
        self._context = context
        self._template = template
        texts = sorted((re.escape(text) for text in context.control_texts if text), key=len, reverse=True)
        self._control = re.compile("|".join(texts)) if texts else None

    def stops(self, request: Request) -> tuple[str, ...]:
        """Stop strings of ``request``: its own and, for a conversation, the template's."""
        return request.stop + (self._template.stops if request.messages is not None else ())

    def tokens(self, request: Request) -> tuple[int, ...]:
        """Prompt tokens of ``request``. Raises ``EngineRefusedError`` when the template refuses it."""
        if request.prompt is not None:
            return tuple(self._context.tokenize(request.prompt, control=False, begin=True))
        return tuple(self._conversation(request.messages or ()))

    def _conversation(self, messages: Sequence[Message]) -> list[int]:
        if self._control is None or not any(self._control.search(m.content) for m in messages):
            return self._context.tokenize(self._template.render(messages), control=True, begin=True)
        mark = secrets.token_hex(12)
        taken: list[str] = []

        def mask(found: re.Match[str]) -> str:
            taken.append(found.group())
            return f"{mark}{len(taken) - 1}."

        masked = tuple(replace(m, content=self._control.sub(mask, m.content)) for m in messages)
        parts = re.split(rf"{mark}(\d+)\.", self._template.render(masked))
        tokens: list[int] = []
        for index, part in enumerate(parts):
            plain = index % 2 == 1
            text = taken[int(part)] if plain else part
            tokens += self._context.tokenize(text, control=not plain, begin=index == 0)
        return tokens
