"""How long a question waits for its passages among 50,000, its vector included.

The engine for vectors and the database are asked at their own sockets, as the gateway asks them.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING

from appliance.memory import vector_index
from appliance.memory.access import Asker
from appliance.memory.retrieval import Retrieval
from appliance.memory.vector_search import neighbours
from appliance.memory.vectors import Embedder
from appliance.memory.word_search import DEPTH
from tests.bench.claims import Claim, at_least, at_most, tell
from tests.bench.learning.library import GROUP, filled

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.bench.learning.course import Scale
    from tests.bench.learning.library import Manuals
    from tests.bench.learning.questions import Question

_MANY = 1_000_000


async def timed(manuals: Manuals, asks: list[Question], scale: Scale) -> tuple[list[Claim], dict[str, object]]:
    """How long a question takes once the library is ``filled``, and what the import took; nothing else follows."""
    tell(f"filling the library to {scale.passages} passages")
    held = await filled(manuals.pool, scale.passages)
    urgent = Embedder(manuals.live, "bench", urgent=True)
    some = asks[:: max(len(asks) // 60, 1)]
    compared = await nearest(manuals.pool, urgent, some)
    tell("making the index of their vectors")
    begun = time.perf_counter()
    await vector_index.made(manuals.pool, await urgent.dimensions())
    took = time.perf_counter() - begun
    indexed = await nearest(manuals.pool, urgent, some)
    whole, searching = await waited(manuals.pool, urgent, some, scale.meaning)
    claims = [at_most(f"question, p50 over {held} passages, its vector included", statistics.median(whole), "ms", 30)]
    if (speed := manuals.speed) is not None:
        claims.append(at_least("import of PDF, until words find it", speed.words, "pages/s", 20))
        claims.append(at_least("import of PDF, until meaning finds it too", speed.meaning, "pages/s", 20))
    figures: dict[str, object] = {
        "documents": len(manuals.taken),
        "passages": sum(one.passages for one in manuals.taken.values()),
        "p50_search_ms": round(statistics.median(searching), 1),
        "p50_whole_ms": round(statistics.median(whole), 1),
        "index_s": round(took, 1),
        "nearest_that_the_index_finds": round(statistics.fmean(map(_share, compared, indexed)), 3),
    }
    return claims, figures


async def nearest(pool: AsyncEngine, embedder: Embedder, asks: list[Question]) -> list[set[int]]:
    """The passages that are nearest to each question, as a group finds them now."""
    asker, found = Asker((GROUP,)), []
    for question in asks:
        meaning = await embedder.meaning(question.said)
        async with neighbours(pool, meaning, asker, _MANY, DEPTH) as (_, near):
            found.append(set(near))
    return found


def _share(of: set[int], found: set[int]) -> float:
    return len(of & found) / len(of)


async def waited(
    pool: AsyncEngine, embedder: Embedder, asks: list[Question], meaning: float
) -> tuple[list[float], list[float]]:
    """Milliseconds of each question: in all, as the gateway asks, and without making its vector."""
    retrieval = Retrieval(pool)
    whole, searching = [], []
    for question in asks:
        begun = time.perf_counter()
        coming = asyncio.ensure_future(embedder.meaning(question.said))
        await retrieval.found(question.said, coming, (GROUP,), 8, meaning)
        whole.append(1000 * (time.perf_counter() - begun))
    made = [await embedder.meaning(question.said) for question in asks]
    for question, vector in zip(asks, made, strict=True):
        begun = time.perf_counter()
        await retrieval.found(question.said, vector, (GROUP,), 8, meaning)
        searching.append(1000 * (time.perf_counter() - begun))
    return whole, searching
