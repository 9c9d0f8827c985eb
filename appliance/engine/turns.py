"""Whose adapter's turn it is: a batch holds requests of one adapter, since llama.cpp sets adapters for a whole context.

Time is sliced: while others have work too, an adapter has ``SLICE`` steps, then the one goes on that had none for
longest. Work that people wait for comes before work of rank batch, whatever its adapter. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SLICE = 4  # steps; a change costs llama.cpp about one


class Turns:
    """Chooses one of those that have work. Remembers who had the last turn, and how long ago the others."""

    def __init__(self) -> None:
        self._steps = 0
        self._now: str | None = None
        self._last: dict[str, int] = {}
        self._clock = 0

    def choose(self, work: Mapping[str, int]) -> str | None:
        """The adapter of the next step. ``work`` gives the lowest rank of each that has any; None when none has."""
        if not work:
            return None
        first = min(work.values())
        ready = [adapter for adapter, rank in work.items() if rank == first]
        if self._now not in ready or self._steps >= SLICE:
            self._now = min(ready, key=lambda adapter: self._last.get(adapter, -1))
            self._steps = 0
        self._clock += 1
        self._steps += 1
        self._last = {adapter: at for adapter, at in self._last.items() if adapter in work}
        self._last[self._now] = self._clock
        return self._now
