"""Beginnings of prompts that are there already, or will be soon, and who may have them. Owner thread only.

Isolation is by construction: every owner (the site, a group, a user) has a tree of its own, and a prompt is looked up
in the trees of its own passages only. A site's tree never holds more of a prompt than its site passage.

Two kinds of things stand in the trees. A *holding* is parked: a pair of sequences that nobody computes with. A
*reading* is the prompt of a request that is being computed; what of it is done can be shared at once, and what is
announced can be waited for (single flight): two requests never compute one passage side by side.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from appliance.engine.prefix_tree import PrefixTree
from appliance.engine.prefix_values import WORTH_WAITING, Credit, Flight, Holding, Pins, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from appliance.engine.cell_store import CellStore, Pair
    from appliance.engine.job import Owner, Passage


_NO_PINS = Pins()


class PrefixCache:
    """The trees of all owners. ``evicted`` counts holdings that were dropped to make room.

    What a site or a group wrote is *pinned* while it is the last that they wrote, as far as ``pins`` go.
    ``settled``: what of a site or a group was computed and parked since somebody looked; whoever looks clears it.
    """

    def __init__(self, store: CellStore, pins: Pins = _NO_PINS) -> None:
        self._store = store
        self._pins = pins
        self._trees: defaultdict[Owner, PrefixTree[Holding | Reading]] = defaultdict(PrefixTree)
        self._parked: set[Holding] = set()
        self._tick = 0
        self.evicted = 0
        self.changes = 0  # of what is parked or pinned; whoever shows it need not look again while this stays
        self.settled: list[Holding] = []

    @property
    def holdings(self) -> tuple[Holding, ...]:
        """All that is parked, in no order."""
        return tuple(self._parked)

    @property
    def parked(self) -> int:
        """How many holdings there are."""
        return len(self._parked)

    @property
    def pinned(self) -> tuple[int, int]:
        """How many holdings are pinned, and the tokens they hold."""
        pinned = self._pinned()
        return len(pinned), sum(holding.done for holding in pinned)

    def pin(self, holding: Holding) -> None:
        """Let nothing make ``holding`` go, in place of what was pinned for its owner before.

        A beginning of what is pinned already needs no pin, and what goes beyond ``pins`` gets none.
        """
        own = [other for other in self._pinned() if other.owner == holding.owner]
        if any(other.tokens[: holding.done] == holding.tokens for other in own):
            return
        self.changes += 1
        for other in own:
            other.pinned = False
        count, cells = self.pinned
        holding.pinned = count < self._pins.holdings and cells + holding.done <= self._pins.cells

    def _pinned(self) -> list[Holding]:
        return [holding for holding in self._parked if holding.pinned]

    def credit(self, tokens: tuple[int, ...], passages: Iterable[Passage]) -> Credit:
        """The longest beginning of ``tokens`` that may be shared and is whole; its source counts as used."""
        best = Credit()
        for passage in passages:
            for source, agreed in self._match(tokens, passage).items():
                length = min(agreed, source.done)
                if length > best.length and self._store.credits(source.pair, length):
                    best = Credit(length, source)
        if isinstance(best.source, Holding):
            best.source.used = self._next()
        return best

    def holding(self, tokens: tuple[int, ...], passage: Passage, most: int) -> tuple[Holding | None, int]:
        """What of ``passage``'s owner holds the longest beginning of ``tokens``, at most ``most`` of them; how many."""
        found: tuple[Holding | None, int] = (None, 0)
        for source, agreed in self._match(tokens, passage).items():
            upto = min(agreed, source.done, most)
            if isinstance(source, Holding) and upto > found[1] and self._store.credits(source.pair, upto):
                found = source, upto
        return found

    def flight(self, tokens: tuple[int, ...], passages: Iterable[Passage], *, have: int, rank: int) -> Flight | None:
        """What to wait for, because it will give at least ``WORTH_WAITING`` tokens more than ``have``.

        Nobody waits for a reading of a lower class than their own.
        """
        best = None
        least = have + WORTH_WAITING
        for passage in passages:
            for source, agreed in self._match(tokens, passage).items():
                if isinstance(source, Reading) and source.done < agreed >= least and source.rank <= rank:
                    best, least = Flight(agreed, source), agreed + 1
        return best

    def announce(self, tokens: tuple[int, ...], passages: Sequence[Passage], pair: Pair, rank: int) -> list[Reading]:
        """Readings of one request, one for each of its passages."""
        readings = [Reading(p.owner, tokens[: p.length], pair, rank) for p in passages if p.length]
        for reading in readings:
            self._trees[reading.owner].insert(reading.tokens, reading)
        return readings

    def progress(self, readings: Iterable[Reading], filled: int) -> None:
        """The request that reads has ``filled`` tokens; a site's or group's passage is kept apart once it is whole."""
        for reading in readings:
            before, reading.done = reading.done, min(filled, len(reading.tokens))
            if before < reading.done == len(reading.tokens):
                self._settle(reading, whole=True)

    def withdraw(self, readings: Iterable[Reading]) -> None:
        """The request is no longer computed; what it read of a shared passage stays."""
        for reading in readings:
            if WORTH_WAITING <= reading.done < len(reading.tokens):
                self._settle(reading)
            reading.gone = True
            self._remove(reading)

    def _settle(self, reading: Reading, *, whole: bool = False) -> None:
        """Keep a site's or group's passage apart from the request that computes it, if it is news; pin a whole one."""
        tokens = reading.tokens[: reading.done]
        known = self._trees[reading.owner].match(tokens).items()
        if reading.owner.scope == "user" or any(n == len(tokens) and isinstance(s, Holding) for s, n in known):
            return
        pair = self._take()
        if pair is not None:
            self._store.share(reading.pair, pair, len(tokens))
            holding = self.park(reading.owner, tokens, pair)
            self.settled.append(holding)
            if whole:
                self.pin(holding)

    def holds(self, holding: Holding) -> bool:
        """Whether it is still parked."""
        return holding in self._parked

    def park(self, owner: Owner, tokens: tuple[int, ...], pair: Pair) -> Holding:
        """Keep ``pair``, which holds ``tokens``; parked beginnings of the same tokens are dropped for it."""
        tree, pinned = self._trees[owner], False
        for other, agreed in tree.match(tokens).items():
            covered = agreed == other.done and self._store.credits(pair, agreed)
            if isinstance(other, Holding) and covered:
                pinned = pinned or other.pinned
                self._drop(other)
        tree = self._trees[owner]
        holding = Holding(owner, tokens, pair, self._next())
        tree.insert(tokens, holding)
        self._parked.add(holding)
        self.changes += 1
        if pinned:
            self.pin(holding)
        return holding

    def take(self, keep: Holding | Reading | None = None) -> Pair | None:
        """An empty pair, for which something parked may have to go, but not ``keep``."""
        return self._take(keep)

    def evict(self, keep: Holding | Reading | None = None) -> bool:
        """Drop what was used longest ago, users' before groups' and the site's; false when nothing is left to drop.

        Nothing that is pinned is dropped.
        """
        droppable = [h for h in self._parked if h is not keep and not h.pinned]
        if not droppable:
            return False
        self.evicted += 1
        self._drop(min(droppable, key=lambda h: (h.owner.scope != "user", h.used)))
        return True

    def forget(self) -> None:
        """Drop everything parked."""
        for holding in tuple(self._parked):
            self._drop(holding)

    def _match(self, tokens: tuple[int, ...], passage: Passage) -> dict[Holding | Reading, int]:
        tree = self._trees.get(passage.owner)
        return {} if tree is None else tree.match(tokens[: passage.length])

    def _take(self, keep: Holding | Reading | None = None) -> Pair | None:
        pair = self._store.take()
        while pair is None and self.evict(keep):
            pair = self._store.take()
        return pair

    def _drop(self, holding: Holding) -> None:
        self._parked.discard(holding)
        self.changes += 1
        self._remove(holding)
        self._store.give(holding.pair)

    def _remove(self, held: Holding | Reading) -> None:
        tree = self._trees[held.owner]
        tree.remove(held)
        if not len(tree):
            del self._trees[held.owner]

    def _next(self) -> int:
        self._tick += 1
        return self._tick
