"""Whose adapter's turn it is: a batch holds requests of one adapter, since llama.cpp sets adapters for a whole context.

Time is sliced: while others have work too, an adapter has ``SLICE`` steps, times what the users who wait for it weigh
beside those of the lightest; then the one goes on that had none for longest. Work that people wait for comes before
work of rank batch, whatever its adapter. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SLICE = 4  # steps; a change costs llama.cpp about one
_LONGEST = 16  # slices: nobody waits longer for their first step, however light they are


class Turns:
    """Chooses one of those that have work. Remembers who had the last turn, and how long ago the others."""

    def __init__(self) -> None:
        self._steps = 0
        self._now: str | None = None
        self._last: dict[str, int] = {}
        self._clock = 0

    def choose(self, work: Mapping[str, Iterable[tuple[int, str, float]]]) -> str | None:
        """The adapter of the next step, None when there is no work. ``work``: (rank, user, weight) of its requests."""
        asked = {adapter: tuple(requests) for adapter, requests in work.items()}
        if not asked:
            return None
        first = min(rank for requests in asked.values() for rank, _, _ in requests)
        weights = {adapter: _weight(requests, first) for adapter, requests in asked.items()}
        ready = {adapter: weight for adapter, weight in weights.items() if weight}
        if self._now not in ready or self._steps >= _slice(ready, ready[self._now]):
            self._now = min(ready, key=lambda adapter: self._last.get(adapter, -1))
            self._steps = 0
        self._clock += 1
        self._steps += 1
        self._last = {adapter: at for adapter, at in self._last.items() if adapter in asked}
        self._last[self._now] = self._clock
        return self._now


def _weight(requests: Iterable[tuple[int, str, float]], rank: int) -> float:
    """What the users weigh together whose requests are of ``rank``; a user counts once."""
    return sum({user: weight for own, user, weight in requests if own == rank}.values())


def _slice(ready: Mapping[str, float], weight: float) -> int:
    return round(SLICE * min(_LONGEST, weight / min(ready.values())))
