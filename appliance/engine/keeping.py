"""Between the cells and the disk: what is brought back, and what is put away. Owner thread only.

A state is brought back at its full length, into cells that are free or hold only what is parked; nobody is put off for
it. What a site or a group wrote is put away once it was computed whole, one at a time, beside the next batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.engine.held import Held, on_disk
from appliance.engine.prefix_values import WORTH_WAITING

if TYPE_CHECKING:
    from appliance.engine.cell_store import CellStore
    from appliance.engine.copies import Copies
    from appliance.engine.job import Job
    from appliance.engine.kv.index import Kept
    from appliance.engine.kv.shelf import KvShelf
    from appliance.engine.prefix_values import Holding
    from appliance.engine.prefixes import PrefixCache

WORTH_KEEPING = 64  # tokens; less is computed sooner than it is read
_A_STEP_S = 0.05
_SHARE_AT_START = 2  # one half of cells and pairs may be taken before anybody asked


@dataclass(frozen=True)
class KeptFigures:
    """States on disk and the bytes they take; states brought back, and states that did not open, since the start."""

    states: int
    bytes: int
    restored: int
    dropped: int


class Keeper:
    """Keeps what ``cache`` holds for sites and groups on ``shelf``; without one, nothing."""

    def __init__(self, store: CellStore, cache: PrefixCache, copies: Copies, shelf: KvShelf | None) -> None:
        self._store = store
        self._cache = cache
        self._copies = copies
        self._shelf = shelf
        self._copied = 0
        self._restored = 0

    def figures(self) -> KeptFigures:
        """What is on disk now, and what became of it since the start."""
        if self._shelf is None:
            return KeptFigures(0, 0, 0, 0)
        return KeptFigures(len(self._shelf.entries), self._shelf.used_bytes, self._restored, self._shelf.dropped)

    def kept(self) -> tuple[Held, ...]:
        """What is on disk now, by who may share it. Any thread."""
        return on_disk(self._shelf.entries) if self._shelf is not None else ()

    def preload(self) -> None:
        """Bring back what was used last, before anybody asks for it."""
        cells, pairs = self._store.free // _SHARE_AT_START, self._store.pairs // _SHARE_AT_START
        for kept in self._shelf.entries if self._shelf is not None else ():
            if pairs == 0:
                break
            if len(kept.tokens) <= cells and self._restore(kept):
                cells, pairs = cells - len(kept.tokens), pairs - 1

    def fetch(self, tokens: tuple[int, ...], job: Job) -> None:
        """Bring back the beginning of ``tokens`` that is longer than what cells have of it, or are about to."""
        kept = self._shelf.find(tokens, job.passages) if self._shelf is not None else None
        if kept is None:
            return
        there = self._cache.credit(tokens, job.passages).length
        flight = self._cache.flight(tokens, job.passages, have=there, rank=job.rank)
        if len(kept.tokens) >= max(there, flight.length if flight else 0) + WORTH_WAITING:
            self._restore(kept)

    def put_away(self, *, idle: bool) -> None:
        """Begin to keep one of the beginnings that were computed since, unless one is still being written.

        ``idle``: nothing else is to be done, so that is waited for, as long as one step would take.
        """
        if self._shelf is None:
            self._cache.settled.clear()
            return
        if idle:
            self._shelf.wait(_A_STEP_S)
        if self._shelf.busy:
            return
        self._copies.give(self._copied)
        self._copied = 0
        while self._cache.settled:
            if self._keep(self._cache.settled.pop()):
                return

    @property
    def pending(self) -> bool:
        """Whether ``put_away`` has something left to do."""
        return bool(self._cache.settled) or self._copied > 0

    def close(self) -> None:
        """Finish what is being written."""
        if self._shelf is not None:
            self._shelf.close()

    def _keep(self, holding: Holding) -> bool:
        owner, tokens = holding.owner, holding.tokens
        if self._shelf is None or len(tokens) < WORTH_KEEPING or not self._cache.holds(holding):
            return False
        if self._shelf.has(owner, tokens) or not self._copies.take(len(tokens)):
            return False
        if not self._shelf.save(owner, tokens, self._store.save(holding.pair)):
            self._copies.give(len(tokens))
            return False
        self._copied = len(tokens)
        return True

    def _restore(self, kept: Kept) -> bool:
        assert self._shelf is not None
        length = len(kept.tokens)
        if not self._copies.take(length):
            return False
        try:
            while self._store.free < length:
                if not self._cache.evict():
                    return False
            pair = self._cache.take()
            if pair is None:
                return False
            state = self._shelf.load(kept)
            if state is None or not self._store.restore(pair, state, length):
                if state is not None:
                    self._shelf.drop(kept)
                self._store.give(pair)
                return False
        finally:
            self._copies.give(length)
        holding = self._cache.park(kept.owner, kept.tokens, pair)
        holding.restored = True
        self._cache.pin(holding)
        self._restored += 1
        return True
