"""What every step is booked under, and what others are told of it. Owner thread only, but for what says otherwise.

How things stand is told at the end of a step. Where a GPU computes (``apart``) and another step follows at once, it is
told while the GPU computes that one, so that no stream waits for it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from appliance.engine.showing import Reads, Showing
from appliance.engine.telling import Telling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.cell_store import CellStore
    from appliance.engine.energy import Cost, Draw
    from appliance.engine.held import AtWork
    from appliance.engine.keeping import Keeper
    from appliance.engine.metrics import EngineMetrics
    from appliance.engine.prefixes import PrefixCache
    from appliance.engine.reception import Reception
    from appliance.engine.showing import Shown


class Accounts:
    """Kept for one batcher, whose parts it looks at. A step goes from ``open`` to ``close``."""

    def __init__(  # noqa: PLR0913 - the parts it looks at, named at the one call
        self,
        store: CellStore,
        cache: PrefixCache,
        reception: Reception,
        keeper: Keeper,
        *,
        draw: Draw,
        metrics: EngineMetrics,
        apart: bool,
    ) -> None:
        self._metrics = metrics
        self._apart = apart
        self._telling = Telling(store, cache, reception, keeper, metrics)
        self._reads = Reads(draw)
        self._showing = Showing(store, cache, self._reads)
        self._began = 0.0
        self._computed = 0.0
        self._batches = 0
        self._untold = False

    @property
    def pinned(self) -> tuple[int, int]:
        """As ``PrefixCache.pinned``, when it was last told. Any thread."""
        return self._telling.pinned

    @property
    def shown(self) -> Shown:
        """What lies in the cells, when it was last told. Any thread."""
        return self._showing.shown

    def open(self) -> None:
        """A step begins."""
        self._began, self._computed, self._batches = time.perf_counter(), 0.0, 0

    def meanwhile(self, residents: Sequence[AtWork]) -> None:
        """A batch is being computed: tell of the step before."""
        if self._untold:
            self.tell(residents)

    def computed(self, cost: Cost, *, prompt_rows: int, decode_rows: int, beside: float) -> None:
        """A batch cost that, in which ``beside`` seconds were the processor's for something else."""
        self._batches += 1
        self._computed += cost.seconds - beside
        self._reads.add(cost, prompt_rows, prompt_rows + decode_rows)
        self._metrics.step(cost.seconds, prompt_rows=prompt_rows, decode_rows=decode_rows)

    def drawn(self, cost: Cost) -> None:
        """A token was drawn."""
        self._computed += cost.seconds

    def close(self, residents: Sequence[AtWork]) -> bool:
        """A step is over. Whether something is left to tell while the next one, which follows at once, is computed."""
        self._untold = bool(self._apart and residents and self._batches)
        if not self._untold:
            self.tell(residents)
        if self._batches:
            self._metrics.scheduled(time.perf_counter() - self._began - self._computed)
        return self._untold

    def tell(self, residents: Sequence[AtWork]) -> None:
        """Tell how things stand now."""
        self._telling.tell()
        self._showing.look(residents)
        self._untold = False
