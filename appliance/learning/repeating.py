"""Whether what somebody wrote repeats a text word by word. Pure.

A statement repeats a text where ``RUN`` of its words stand in it one after the other, or all of them where it has
``LEAST`` at least. Shorter ones are in every second text, and the same in other words is not seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.learning.words import words
from appliance.memory.sentences import sentences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RUN = 8
LEAST = 5
LONGEST = 40
"""Words of a statement: what has no full stop is taken in pieces that overlap by a run."""


def statements(text: str) -> Iterator[str]:
    """The sentences of ``text``, however its lines are broken, that have words enough to repeat anything."""
    flat = " ".join(text.split())
    for start, end in sentences(flat):
        parts = flat[start:end].split()
        for at in range(0, max(len(parts) - RUN, 1), LONGEST - RUN):
            piece = " ".join(parts[at : at + LONGEST])
            if len(words(piece)) >= LEAST:
                yield piece


class Repeated:
    """Texts that are looked through for what statements repeat of them."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = [f" {' '.join(words(text))} " for text in texts]

    def by(self, statement: str) -> list[int]:
        """Which of the texts ``statement`` repeats, in their order."""
        said = words(statement)
        if len(said) < LEAST:
            return []
        size = min(RUN, len(said))
        runs = {f" {' '.join(said[at : at + size])} " for at in range(len(said) - size + 1)}
        return [number for number, text in enumerate(self._texts) if any(run in text for run in runs)]
