"""What the owner thread shows of its cells to whoever asks: a value that is replaced, never changed.

Cells are counted one by one, so they are counted anew only after what is parked has changed, and while requests are at
work once a second at most. Figures of the cost of reading prompts are added up beside it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.engine.held import Held, at_work, parked
from appliance.engine.tiers import Prefill

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.cell_store import CellStore
    from appliance.engine.energy import Cost, Draw
    from appliance.engine.held import AtWork
    from appliance.engine.prefixes import PrefixCache

_SECONDS = 1.0


@dataclass
class _Read:
    """Rows of prompts that were computed, and what that took."""

    tokens: int = 0
    seconds: float = 0.0
    joules: float = 0.0

    def add(self, tokens: int, seconds: float, joules: float) -> None:
        self.tokens += tokens
        self.seconds += seconds
        self.joules += joules


class Reads:
    """What reading prompts cost: steps that a counter saw, and those that none saw, apart. Owner thread only."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._counted, self._declared = _Read(), _Read()

    def add(self, cost: Cost, rows: int, all_rows: int) -> None:
        """A step had ``rows`` rows of prompts among ``all_rows``."""
        share = rows / all_rows
        if cost.joules is None:
            self._declared.add(rows, cost.seconds * share, 0.0)
        else:
            self._counted.add(rows, cost.seconds * share, cost.joules * share)

    def prefill(self) -> Prefill | None:
        """By the counter where it saw a step; else by declared watts; None where nothing was computed."""
        if self._counted.tokens:
            read, energy = self._counted, self._draw.over(self._counted.seconds, self._counted.joules)
        else:
            read, energy = self._declared, self._draw.over(self._declared.seconds, None)
        return Prefill(read.tokens, energy.joules, energy.method) if read.tokens else None


@dataclass(frozen=True)
class Shown:
    """The cells' rows and the cost of reading prompts, when they were last looked at."""

    rows: tuple[Held, ...] = ()
    prefill: Prefill | None = None


class Showing:
    """Keeps ``shown`` up to date. ``look`` is the owner thread's; ``shown`` may be read from any."""

    def __init__(self, store: CellStore, cache: PrefixCache, reads: Reads) -> None:
        self._store, self._cache, self._reads = store, cache, reads
        self._seen = -1
        self._at = 0.0
        self._parked: tuple[Held, ...] = ()
        self.shown = Shown()

    def look(self, residents: Sequence[AtWork]) -> None:
        """After a step, or while the next one is computed."""
        now, changes = time.monotonic(), self._cache.changes
        if changes != self._seen and (not residents or now - self._at >= _SECONDS):
            self._parked = parked(self._cache.holdings, self._store)
            self._seen, self._at = changes, now
        elsewhere = max(0, self._store.live - sum(row.tokens for row in self._parked))
        self.shown = Shown((*self._parked, *at_work(residents, elsewhere)), self._reads.prefill())
