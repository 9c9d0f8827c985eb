"""Prompts for the context that quotes, and whether what was answered is what it quotes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.engine.quoting_context import expected

if TYPE_CHECKING:
    from tests.engine.batches import Asked

WINDOW = 16


def letters(seed: int, length: int = 24) -> list[int]:
    """Letters that differ with ``seed``."""
    return [97 + (seed * 31 + n * n + n * seed) % 26 for n in range(length)]


def right(asked: Asked, window: int = WINDOW) -> bool:
    """Whether the answer is the one that the context gives to this prompt alone."""
    job = asked.job
    return asked.text == bytes(expected(job.tokens, job.max_tokens, window)).decode()


def decoded(asked: Asked) -> int:
    """Rows that its answer took: the last token of one that was cut off is not decoded."""
    return asked.end.usage.completion_tokens - (asked.end.finish_reason == "length")
