"""Passages that mean what a question asks, nearest first, among those that the asker may see.

Of few passages every vector is compared. Of many, the index goes from neighbour to neighbour (``vector_index``): it
passes over what the asker may not see, and goes on until it has enough that they may. Where it ends with too few,
because somebody else's lie all around or a model changes, every vector is compared after all.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from appliance.memory import vector_index
from appliance.memory.access import SEEN
from appliance.memory.language import CONFIGURATION
from appliance.memory.nearness import nearness
from appliance.memory.passages import EVERY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

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


async def by_meaning(connection: AsyncConnection, asked: Meaning, asker: Asker, depth: int) -> dict[int, float]:
    """Numbers of passages, nearest first, at most ``depth``, with how near: their cosine, since vectors have length 1.

    The transaction is the asker's (``access``); from here on it plans for few rows.
    """
    among = f"d.state = 'ready' AND d.model = :model AND {asker.may_see('d')}"
    before = (
        f"SELECT coalesce(sum(c.passages), 0) AS passages, {vector_index.READY} AND {_STAYS} AS indexed, {_PLAN} "  # noqa: S608 - text of this module
        f"FROM word_count AS c WHERE c.language = ANY(:languages) AND c.word = '{EVERY}' AND {asker.may_see('c')}"
    )
    counted = {"languages": list(CONFIGURATION), "index": vector_index.named(asked.dimensions)}
    of = (await connection.execute(asker.typed(before), counted | asker.named)).one()
    values = {"vector": asked.vector, "model": asked.model, "depth": depth, **asker.named}
    found: list[tuple[float, int]] = []
    if of.indexed and of.passages > COMPARED:
        embedding, where = vector_index.of(asked.dimensions, "p.embedding")
        seen = f"CROSS JOIN LATERAL (SELECT FROM document AS d WHERE d.id = p.document_id AND {among} OFFSET 0) AS d"
        found = await _nearest(connection, asker, values, embedding, f"{seen} WHERE {where}")
    if len(found) < depth:
        found = await _nearest(connection, asker, values, "p.embedding", f"{SEEN} WHERE {among}")
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
