"""The hierarchy of memories as one report: what engines hold, what the gateway counted, how large the library is. Pure.

Sizes and ages come from whoever holds the things; hits and tokens from the gateway, which counts them as receipts do.
Where somebody does not answer, their part is not known (None), and never zero. Joules are an estimate: what reading a
prompt's token cost the engine on average, times the tokens that it did not read again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from appliance.engine.tiers import EngineTiers, Prefill
    from appliance.memory.extent import Extent, Part

N = TypeVar("N", int, float)
Tier = Literal["pinned", "parked", "live", "disk", "untold", "passages", "documents"]
Scope = Literal["site", "group", "user", "untold"]
Groups = Literal["one", "several", "former"]
State = Literal["running", "not_running", "not_known"]
TIERS: tuple[Tier, ...] = ("pinned", "parked", "live", "disk", "untold", "passages", "documents")
"""Warmest first. ``untold``: cached tokens of an engine that does not say where they lay."""
SCOPES: tuple[Scope, ...] = ("site", "group", "user", "untold")


@dataclass(frozen=True)
class Saved:
    """Answers that were spared ``tokens`` by a tier. ``group`` is empty but for a group's."""

    tier: Tier
    scope: Scope
    group: str
    hits: int
    tokens: int


@dataclass(frozen=True)
class Counted:
    """What the gateway counted since ``since``: of each model, and of answers from documents."""

    since: str
    models: Mapping[str, tuple[Saved, ...]]
    passages: int
    documents: int


@dataclass(frozen=True)
class TierRow:
    """One tier of one scope. What is not known is None. ``of`` says which groups, where the scope is groups'.

    ``tokens`` and ``size`` (bytes) lie there, in ``count`` pieces; ages are in seconds; ``hits``, ``tokens_saved`` and
    ``joules_saved`` are of answers since the gateway began to count.
    """

    tier: Tier
    scope: Scope
    group: str | None = None
    of: Groups | None = None
    count: int | None = None
    tokens: int | None = None
    size: int | None = None
    characters: int | None = None
    oldest_s: float | None = None
    newest_s: float | None = None
    hits: int | None = None
    tokens_saved: int | None = None
    joules_saved: float | None = None


@dataclass(frozen=True)
class EngineView:
    """One model's engine: whether it runs and says what it holds, else why not."""

    model: str
    state: State
    reason: str | None
    rows: tuple[TierRow, ...]
    cells: int | None = None
    up_s: float | None = None
    joules_per_token: float | None = None
    energy: Literal["estimated", "measured"] | None = None


@dataclass(frozen=True)
class LibraryView:
    """The library; ``size``: bytes of the database's files. Hits are of all groups together."""

    known: bool
    rows: tuple[TierRow, ...] = ()
    size: int | None = None
    passages_used: int | None = None
    documents_cited: int | None = None


@dataclass(frozen=True)
class Hierarchy:
    """Everything, the engines in the order of site.yaml. ``since`` is None where the gateway does not answer."""

    since: str | None
    engines: tuple[EngineView, ...]
    library: LibraryView

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Silent:
    """An engine of which nothing is known, and why."""

    state: Literal["not_running", "not_known"]
    reason: str | None = None


def hierarchy(
    engines: Mapping[str, EngineTiers | Silent],
    counted: Counted | None,
    library: Extent | None,
    *,
    groups: Collection[str],
    now: datetime,
) -> Hierarchy:
    """The report. Groups that are none of the site's ``groups`` are told as one, without a name."""
    saved = counted.models if counted is not None else None
    return Hierarchy(
        since=counted.since if counted is not None else None,
        engines=tuple(
            _engine(model, said, None if saved is None else saved.get(model, ()), groups)
            for model, said in engines.items()
        ),
        library=_library(library, counted, groups, now),
    )


def folded(whole: Hierarchy) -> Hierarchy:
    """The same without groups' names: all groups of a tier are one row."""
    engines = tuple(replace(engine, rows=_joined(map(_nameless, engine.rows))) for engine in whole.engines)
    library = replace(whole.library, rows=_joined(map(_nameless, whole.library.rows)))
    return replace(whole, engines=engines, library=library)


def _nameless(row: TierRow) -> TierRow:
    return replace(row, group=None, of="several") if row.scope == "group" else row


def _engine(
    model: str, said: EngineTiers | Silent, saved: Sequence[Saved] | None, groups: Collection[str]
) -> EngineView:
    prefill = None if isinstance(said, Silent) else said.prefill
    rows = [_spared(one, prefill, groups) for one in saved or ()]
    if isinstance(said, Silent):
        return EngineView(model, said.state, said.reason, _joined(rows))
    unused = None if saved is None else 0
    lying = [
        TierRow(
            *(row.tier, row.scope),
            *_named(row.scope, row.group, groups),
            count=row.count,
            tokens=row.tokens,
            size=row.size,
            oldest_s=row.oldest_s,
            newest_s=row.newest_s,
            hits=unused,
            tokens_saved=unused,
            joules_saved=None if saved is None or prefill is None else 0.0,
        )
        for row in said.rows
    ]
    return EngineView(
        model,
        "running",
        None,
        _joined([*lying, *rows]),
        cells=said.cells,
        up_s=said.up_s,
        joules_per_token=prefill.joules_per_token if prefill is not None else None,
        energy=prefill.method if prefill is not None else None,
    )


def _spared(one: Saved, prefill: Prefill | None, groups: Collection[str]) -> TierRow:
    joules = None if prefill is None else one.tokens * prefill.joules_per_token
    named = _named(one.scope, one.group, groups)
    return TierRow(one.tier, one.scope, *named, hits=one.hits, tokens_saved=one.tokens, joules_saved=joules)


def _library(library: Extent | None, counted: Counted | None, groups: Collection[str], now: datetime) -> LibraryView:
    found = LibraryView(known=False)
    if library is not None:
        rows = [row for part in library.parts for row in _part(part, groups, now)]
        found = LibraryView(known=True, rows=_joined(rows), size=library.size)
    if counted is not None:
        found = replace(found, passages_used=counted.passages, documents_cited=counted.documents)
    return found


def _part(part: Part, groups: Collection[str], now: datetime) -> Iterable[TierRow]:
    group, of = _named("group", part.group, groups) if part.group is not None else (None, "several")
    oldest, newest = (max(0.0, (now - at).total_seconds()) for at in (part.oldest, part.newest))
    passages = TierRow("passages", "group", group, of, count=part.passages, oldest_s=oldest, newest_s=newest)
    yield passages
    yield replace(passages, tier="documents", count=part.documents, characters=part.characters)


def _named(scope: str, group: str, groups: Collection[str]) -> tuple[str | None, Groups | None]:
    if scope != "group":
        return None, None
    return (group, "one") if group in groups else (None, "former")


def _joined(rows: Iterable[TierRow]) -> tuple[TierRow, ...]:
    """Rows of the same thing are one; in order, warmest and widest first, then by name."""
    joined: dict[tuple[Any, ...], TierRow] = {}
    for row in rows:
        key = (row.tier, row.scope, row.group, row.of)
        joined[key] = _both(joined[key], row) if key in joined else row
    order = sorted(joined.values(), key=lambda r: (TIERS.index(r.tier), SCOPES.index(r.scope), r.group or "~"))
    return tuple(order)


def _both(one: TierRow, other: TierRow) -> TierRow:
    return replace(
        one,
        count=_sum(one.count, other.count),
        tokens=_sum(one.tokens, other.tokens),
        size=_sum(one.size, other.size),
        characters=_sum(one.characters, other.characters),
        oldest_s=max((age for age in (one.oldest_s, other.oldest_s) if age is not None), default=None),
        newest_s=min((age for age in (one.newest_s, other.newest_s) if age is not None), default=None),
        hits=_sum(one.hits, other.hits),
        tokens_saved=_sum(one.tokens_saved, other.tokens_saved),
        joules_saved=_sum(one.joules_saved, other.joules_saved),
    )


def _sum(one: N | None, other: N | None) -> N | None:
    """What is known of both together; None where neither is."""
    return other if one is None else one if other is None else one + other
