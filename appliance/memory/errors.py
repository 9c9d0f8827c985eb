"""Why a document is not taken, or cannot be given.

RefusedError
└── DocumentRefusedError          the document is not one that can be read; ``reason`` says why in one word
UsageError
└── NoDocumentError               there is no such document, or nobody may tell the caller that there is
UnavailableError
├── ParserError                   the parser's process cannot be started or confined; the document is not to blame
├── ModelBusyError                the embedding model has no time for what nobody waits for
└── UnreadableError               the embedding model answers, and not with vectors of what it was asked to read
SovereignError
└── TooManyTokensError            a text is longer than the embedding model reads; it is given to it in parts
"""

from __future__ import annotations

from typing import Literal

from appliance.errors import RefusedError, SovereignError, UnavailableError, UsageError

Reason = Literal[
    "encrypted",
    "damaged",
    "macros",
    "encoding",
    "no_text",
    "unsupported",
    "too_large",
    "too_deep",
    "too_long",
    "memory",
    "crashed",
]
"""``too_large``: of bytes, in the file or inside it; ``too_long``: reading it took longer than any document may."""

PASSING: frozenset[Reason | None] = frozenset({"too_long", "memory", "crashed"})
"""Reasons that may lie in the hour and not in the document: it is tried again with every import."""

_HINTS: dict[Reason, str] = {
    "encrypted": "save it without a password and import that",
    "damaged": "open it in the program that made it, and save it anew",
    "macros": "save it in a form without macros and import that",
    "encoding": "save it as UTF-8 and import that",
    "no_text": "a scan needs text recognition before it is imported",
    "unsupported": "PDF, DOCX, ODT, HTML, Markdown, text, CSV and EML are read",
    "too_large": "divide it and import the parts",
    "too_deep": "convert it to PDF or plain text and import that",
    "too_long": "convert it to PDF or plain text and import that",
    "memory": "divide it and import the parts",
    "crashed": "convert it to PDF or plain text and import that",
}


class DocumentRefusedError(RefusedError):
    """The document cannot be read. Nothing of it was kept."""

    def __init__(self, reason: Reason, cause: str) -> None:
        super().__init__(cause, _HINTS[reason])
        self.reason: Reason = reason


class NoDocumentError(UsageError):
    """There is no such document for whoever asks."""


class ParserError(UnavailableError):
    """The parser's process could not do its work, whatever the document is."""


class ModelBusyError(UnavailableError):
    """The embedding model has no time for what nobody waits for."""

    def __init__(self) -> None:
        super().__init__("the embedding model is busy for too long", "try again when fewer people ask")


class UnreadableError(UnavailableError):
    """The embedding model answers, and not with vectors of what it was asked to read."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause, "run `sovereign status`")


class TooManyTokensError(SovereignError):
    """Text number ``number`` of those given is longer than the model reads."""

    def __init__(self, number: int, tokens: int, bound: int) -> None:
        super().__init__(f"text {number} has {tokens} tokens, and the model takes {bound}")
        self.number = number
