"""What lies in the cells and on disk now, by tier and by who may share it: counts and ages, never whose it is.

A cell that several beginnings share exists once and is counted once: for what is pinned before what is parked, for the
site before groups before persons. So the rows of the cells add up to the cells in use. What persons have is one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from appliance.engine.kv.arena import BLOCK_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from appliance.engine.cell_store import CellStore
    from appliance.engine.job import Owner
    from appliance.engine.kv.index import Kept
    from appliance.engine.prefix_values import Holding
    from appliance.engine.protocol import Scope, Tier

_WIDEST_FIRST: dict[Scope, int] = {"site": 0, "group": 1, "user": 2}


@dataclass(frozen=True)
class Held:
    """``count`` beginnings with ``tokens`` tokens. ``group`` is empty but for a group's.

    ``oldest`` and ``newest``: when they came to lie there; in the cells by ``time.monotonic``, on disk in Unix time.
    ``size``: bytes of disk; cells have one size each, and are counted by ``tokens``.
    """

    tier: Tier
    scope: Scope
    group: str
    count: int
    tokens: int
    oldest: float
    newest: float
    size: int = 0


class AtWork(Protocol):
    """A request at work."""

    @property
    def begun(self) -> float:
        """When it began, by ``time.monotonic``."""


def parked(holdings: Iterable[Holding], store: CellStore) -> tuple[Held, ...]:
    """Rows of what is pinned and parked; every cell once. Owner thread only."""
    counted: set[int] = set()
    rows: list[Held] = []
    for holding in sorted(holdings, key=lambda h: (not h.pinned, _WIDEST_FIRST[h.owner.scope], h.owner.name, h.since)):
        before = len(counted)
        counted.update(store.cells_of(holding.pair))
        tier: Tier = "pinned" if holding.pinned else "parked"
        rows.append(_row(tier, holding.owner, len(counted) - before, holding.since))
    return _joined(rows)


def at_work(residents: Sequence[AtWork], cells: int) -> tuple[Held, ...]:
    """The row of requests at work, which have ``cells`` that nothing parked has."""
    if not residents:
        return ()
    begun = [one.begun for one in residents]
    return (Held("live", "user", "", len(residents), cells, min(begun), max(begun)),)


def on_disk(entries: Iterable[Kept]) -> tuple[Held, ...]:
    """Rows of what is kept. Any thread."""
    rows = [_row("disk", kept.owner, len(kept.tokens), kept.made, len(kept.blocks) * BLOCK_BYTES) for kept in entries]
    return _joined(rows)


def _row(tier: Tier, owner: Owner, tokens: int, since: float, size: int = 0) -> Held:
    return Held(tier, owner.scope, owner.name if owner.scope == "group" else "", 1, tokens, since, since, size)


def _joined(rows: Iterable[Held]) -> tuple[Held, ...]:
    joined: dict[tuple[str, str, str], Held] = {}
    for row in rows:
        key = (row.tier, row.scope, row.group)
        if (one := joined.get(key)) is not None:
            joined[key] = Held(
                *key_of(one),
                one.count + row.count,
                one.tokens + row.tokens,
                min(one.oldest, row.oldest),
                max(one.newest, row.newest),
                one.size + row.size,
            )
        else:
            joined[key] = row
    return tuple(joined.values())


def key_of(row: Held) -> tuple[Tier, Scope, str]:
    """What a row is of."""
    return row.tier, row.scope, row.group
