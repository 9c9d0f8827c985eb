"""Passages that mean what a question asks, nearest first, among those that the asker may see.

Of few passages every vector is compared. Of many, the index goes from neighbour to neighbour (``vector_index``): it
passes over what the asker may not see, and goes on until it has enough that they may. Where it ends with too few,
because somebody else's lie all around or a model changes, every vector is compared after all.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from appliance.memory import vector_index
from appliance.memory.access import SEEN
from appliance.memory.nearness import nearness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from appliance.memory.access import Asker

COMPARED = 10_000
"""Of so many passages every vector is compared, in some milliseconds."""
_PLANNED: Mapping[str, str | int] = {
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_sort": "off",
    "hnsw.iterative_scan": "strict_order",
    "hnsw.ef_search": 150,
    "hnsw.max_scan_tuples": 5000,
}
"""Without statistics (``schema``), the planner takes no index for better than to read everything.

The index looks at so many vectors at a time, and in all, before it gives up (pgvector 0.8, "Iterative Index Scans").
"""


def plan(changed: Mapping[str, str | int] = MappingProxyType({})) -> str:
    """The settings, to be selected; ``changed`` ones as they are given."""
    return ", ".join(f"set_config('{name}', '{value}', true)" for name, value in {**_PLANNED, **changed}.items())


_PLAN = plan()
_STAYS = "EXISTS (SELECT FROM passage_vector)"
"""Whoever reads the table keeps a sweep from dropping its index under them."""


@dataclass(frozen=True)
class Meaning:
    """The question's vector, as pgvector writes it, and what made it; ``unrelated`` is as ``nearness`` has it."""

    vector: str
    model: str
    unrelated: int | None = None

    @property
    def dimensions(self) -> int:
        """How many numbers the vector has."""
        return self.vector.count(",") + 1


@asynccontextmanager
async def neighbours(
    engine: AsyncEngine, asked: Meaning | None, asker: Asker, among: int, depth: int
) -> AsyncIterator[tuple[AsyncConnection, dict[int, float]]]:
    """Numbers of passages, nearest first, at most ``depth``, with how near; and the asker's transaction that found it.

    It plans for few rows from here on. How near is their cosine, since vectors have length 1. ``among`` is how many
    passages the asker may see.
    """
    if asked is None:
        async with asker.transaction(engine) as connection:
            yield connection, {}
        return
    async with engine.begin() as connection:
        also = f"{vector_index.READY} AND {_STAYS} AS indexed, {_PLAN}"
        begun = await asker.begin(connection, also, {"index": vector_index.named(asked.dimensions)})
        yield connection, await _found(connection, asked, asker, depth, by_index=begun.indexed and among > COMPARED)


async def _found(
    connection: AsyncConnection, asked: Meaning, asker: Asker, depth: int, *, by_index: bool
) -> dict[int, float]:
    seen = f"d.state = 'ready' AND d.model = :model AND {asker.may_see('d')}"
    values = {"vector": asked.vector, "model": asked.model, "depth": depth, **asker.named}
    found: list[tuple[float, int]] = []
    if by_index:
        embedding, where = vector_index.of(asked.dimensions, "p.embedding")
        of = f"CROSS JOIN LATERAL (SELECT FROM document AS d WHERE d.id = p.document_id AND {seen} OFFSET 0) AS d"
        found = await _nearest(connection, asker, values, embedding, f"{of} WHERE {where}")
    if len(found) < depth:
        found = await _nearest(connection, asker, values, "p.embedding", f"{SEEN} WHERE {seen}")
    return {number: nearness(-far, asked.unrelated) for far, number in found}


async def _nearest(
    connection: AsyncConnection, asker: Asker, values: Mapping[str, object], embedding: str, seen: str
) -> list[tuple[float, int]]:
    """How far, and which, nearest first. The index tells what is equally far in no order."""
    query = (
        f"SELECT {embedding} <#> CAST(:vector AS halfvec) AS far, p.passage_id "  # noqa: S608 - text of this package
        f"FROM passage_vector AS p {seen} ORDER BY far LIMIT :depth"
    )
    return sorted((row.far, row.passage_id) for row in await connection.execute(asker.typed(query), values))
