"""What the metrics are told of each step: room, and what was evicted or put off since. Owner thread only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.engine.cell_store import CellStore
    from appliance.engine.keeping import Keeper
    from appliance.engine.metrics import EngineMetrics
    from appliance.engine.prefixes import PrefixCache
    from appliance.engine.reception import Reception


@dataclass
class Telling:
    """``pinned`` is as ``PrefixCache.pinned``, when it was last told; any thread may read it."""

    store: CellStore
    cache: PrefixCache
    reception: Reception
    keeper: Keeper
    metrics: EngineMetrics
    pinned: tuple[int, int] = (0, 0)
    _told: tuple[int, int] = (0, 0)

    def tell(self) -> None:
        """Tell how things stand now."""
        evicted, put_off = self._told
        self.pinned = self.cache.pinned
        self._told = (self.cache.evicted, self.reception.put_offs)
        self.metrics.room(
            live=self.store.live,
            parked=self.cache.parked,
            pinned=self.pinned[1],
            evicted=self._told[0] - evicted,
            put_off=self._told[1] - put_off,
        )
        self.metrics.kept(self.keeper.figures())
