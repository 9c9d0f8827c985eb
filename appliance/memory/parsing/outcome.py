"""What a parser's process may say, and the judge of it: a stranger's file may have taken the process over.

Nothing is believed: sizes, kinds and levels are checked, and what does not fit is no document.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from appliance.memory.errors import DocumentRefusedError, Reason
from appliance.memory.parsing.blocks import MAX_LEVEL, MAX_PAGES, Block, Kind, Parsed

MAX_BLOCKS = 500_000
MAX_TITLE = 300


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Block(_Strict):
    kind: Kind
    text: Annotated[str, Field(min_length=1)]
    level: Annotated[int, Field(ge=0, le=MAX_LEVEL, strict=True)] = 0
    page: Annotated[int, Field(ge=1, le=MAX_PAGES, strict=True)] | None = None


class _Parsed(_Strict):
    title: str | None = None
    language: Annotated[str, Field(max_length=35)] | None = None
    pages: Annotated[int, Field(ge=1, le=MAX_PAGES, strict=True)] | None = None
    blocks: Annotated[list[_Block], Field(max_length=MAX_BLOCKS)]


class _Refusal(_Strict):
    reason: Reason
    cause: Annotated[str, Field(max_length=300)]


class _Outcome(_Strict):
    parsed: _Parsed | None = None
    refused: _Refusal | None = None


def judged(told: bytes) -> Parsed:
    """The document that was told. Raises ``DocumentRefusedError``: the process's own, or because it told none."""
    try:
        outcome = _Outcome.model_validate_json(told)
    except ValidationError as error:
        raise DocumentRefusedError("crashed", "the parser gave something that is no document") from error
    if outcome.refused is not None:
        raise DocumentRefusedError(outcome.refused.reason, outcome.refused.cause)
    found = outcome.parsed
    if found is None or not any(block.text.strip() for block in found.blocks):
        raise DocumentRefusedError("no_text", "the document holds no text")
    blocks = [Block(block.kind, block.text, block.level, block.page) for block in found.blocks]
    return Parsed(found.title[:MAX_TITLE] if found.title else None, found.language, found.pages, blocks)
