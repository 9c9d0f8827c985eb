"""What a gateway says of its counts and its library without naming a group: one JSON object, and how it is read.

It stands on the management port, where anybody on the host may ask. So groups are summed here, before anything leaves;
whoever reads trusts the shape no more than that of any other answer.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from appliance.memory.extent import Extent, Part
from appliance.memory.hierarchy import Counted, Saved, Scope, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable

_Count = Annotated[int, Field(ge=0, lt=1 << 60, strict=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Saved(_Strict):
    tier: Tier
    scope: Scope
    hits: _Count
    tokens: _Count


class _Library(_Strict):
    documents: _Count
    passages: _Count
    characters: _Count
    oldest: AwareDatetime | None
    newest: AwareDatetime | None
    size: _Count


class _Totals(_Strict):
    since: AwareDatetime
    models: Annotated[dict[str, Annotated[list[_Saved], Field(max_length=64)]], Field(max_length=256)]
    passages: _Count
    documents: _Count
    library: _Library | None


def told(counted: Counted, library: Extent | None) -> dict[str, Any]:
    """As JSON; no group has a name in it, nor a row of its own."""
    return {
        "since": counted.since,
        "models": {model: _summed(saved) for model, saved in counted.models.items()},
        "passages": counted.passages,
        "documents": counted.documents,
        "library": _whole(library) if library is not None else None,
    }


def read(said: Any) -> tuple[Counted, Extent | None] | None:
    """What was told; None for anything else."""
    try:
        found = _Totals.model_validate(said)
    except ValidationError:
        return None
    counted = Counted(
        since=found.since.isoformat(timespec="seconds").replace("+00:00", "Z"),
        models={
            model: tuple(Saved(one.tier, one.scope, "", one.hits, one.tokens) for one in saved)
            for model, saved in found.models.items()
        },
        passages=found.passages,
        documents=found.documents,
    )
    return counted, _extent(found.library) if found.library is not None else None


def _summed(saved: Iterable[Saved]) -> list[dict[str, Any]]:
    hits: Counter[tuple[Tier, Scope]] = Counter()
    tokens: Counter[tuple[Tier, Scope]] = Counter()
    for one in saved:
        hits[one.tier, one.scope] += one.hits
        tokens[one.tier, one.scope] += one.tokens
    return [
        _Saved(tier=tier, scope=scope, hits=count, tokens=tokens[tier, scope]).model_dump()
        for (tier, scope), count in hits.items()
    ]


def _whole(library: Extent) -> dict[str, Any]:
    parts = library.parts
    oldest = min((part.oldest for part in parts), default=None)
    newest = max((part.newest for part in parts), default=None)
    return {
        "documents": sum(part.documents for part in parts),
        "passages": sum(part.passages for part in parts),
        "characters": sum(part.characters for part in parts),
        "oldest": oldest.isoformat() if oldest is not None else None,
        "newest": newest.isoformat() if newest is not None else None,
        "size": library.size,
    }


def _extent(said: _Library) -> Extent:
    if said.oldest is None or said.newest is None:
        return Extent((), said.size)
    counts = (said.documents, said.passages, said.characters)
    return Extent((Part(None, *counts, said.oldest, said.newest),), said.size)
