"""From a request to prompt tokens where the vocabulary lies in another process.

As in ``appliance.engine.prompt``, no text that a person wrote becomes a control token. Which texts those are only the
server knows; so a message is tokenised both ways, and where that makes a difference its words are taken out of the
rendered conversation and tokenised apart, as plain characters.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.protocol import Message, Request
    from appliance.engine.template import ChatTemplate


class Tokenizer(Protocol):
    """``Context.tokenize``, wherever it is done."""

    def tokenize(self, text: str, *, control: bool, begin: bool) -> list[int]:
        """Token ids of ``text``."""
        ...


class RemotePrompts:
    """Tokenises requests for one model. Safe from any thread; blocks."""

    def __init__(self, tokenizer: Tokenizer, template: ChatTemplate) -> None:
        self._tokenizer = tokenizer
        self._template = template

    def stops(self, request: Request) -> tuple[str, ...]:
        """Stop strings of ``request``: its own and, for a conversation, the template's."""
        return request.stop + (self._template.stops if request.messages is not None else ())

    def tokens(self, request: Request) -> tuple[int, ...]:
        """Prompt tokens of ``request``. Raises ``EngineRefusedError``, ``EngineUnavailableError``."""
        if request.prompt is not None:
            return tuple(self._tokenizer.tokenize(request.prompt, control=False, begin=True))
        return tuple(self._conversation(request.messages or ()))

    def _conversation(self, messages: Sequence[Message]) -> list[int]:
        suspect = [self._names_control(message.content) for message in messages]
        if not any(suspect):
            return self._tokenizer.tokenize(self._template.render(messages), control=True, begin=True)
        mark = secrets.token_hex(12)
        masked = [
            replace(message, content=f"{mark}{index}.") if suspect[index] else message
            for index, message in enumerate(messages)
        ]
        parts = re.split(rf"{mark}(\d+)\.", self._template.render(masked))
        tokens: list[int] = []
        for index, part in enumerate(parts):
            plain = index % 2 == 1
            text = messages[int(part)].content if plain else part
            if text or index == 0:
                tokens += self._tokenizer.tokenize(text, control=not plain, begin=index == 0)
        return tokens

    def _names_control(self, text: str) -> bool:
        plain = self._tokenizer.tokenize(text, control=False, begin=False)
        return plain != self._tokenizer.tokenize(text, control=True, begin=False)
