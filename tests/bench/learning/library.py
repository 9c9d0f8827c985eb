"""The library of manuals that answers are looked up in: read in, timed where it is printed, and filled up with copies.

The database, the parser and the embedding model are the site's own.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from appliance.memory import vector_index
from appliance.memory.importing import Importer, Source
from appliance.memory.store import Library
from appliance.memory.vectoring import Vectoring
from appliance.memory.vectors import Embedder
from tests.bench.claims import tell
from tests.bench.learning import corpus, ids

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.memory.documents import Arrival, Document
    from appliance.memory.vectors import Engine
    from tests.bench.learning.corpus import Paper

GROUP = "readers"
_TELL_SECONDS = 20.0
_COPY = (
    "WITH made AS (INSERT INTO passage (document_id, ordinal, first, last, page, headings, body, language, words) "
    "SELECT document_id, 1000000 + (SELECT max(ordinal) FROM passage) + row_number() OVER (), first, last, page, "
    "headings, body, language, words FROM passage ORDER BY id LIMIT :more RETURNING id, document_id) "
    "INSERT INTO passage_vector SELECT made.id, made.document_id, l2_normalize(v.embedding + "
    "(SELECT array_agg(0.06 * (random() - 0.5))::halfvec FROM generate_series(1, vector_dims(v.embedding)) "
    "WHERE made.id IS NOT NULL)) FROM made "
    "JOIN (SELECT embedding, row_number() OVER () AS n FROM passage_vector) AS v "
    "ON v.n = 1 + made.id % (SELECT count(*) FROM passage_vector)"
)
"""No two vectors are alike, as in a library of different pages: a copy's has a cosine of some 0.95 with the first."""
_COUNTED = "UPDATE word_count SET passages = passages * 3"


async def _entered(_arrival: Arrival, _detail: str) -> None:
    """The log is not what is measured."""


def readers(language: str) -> str:
    """The group that reads the manuals of one language."""
    return f"readers-{language}"


async def take(importer: Importer, files: Mapping[Path, tuple[str, ...]], together: int = 2) -> dict[str, Document]:
    """Import files for groups, two at a time as the command does; documents by path."""
    turns = asyncio.Semaphore(together)
    taken: dict[str, Document] = {}
    begun, done = time.monotonic(), 0

    async def one(path: Path, groups: tuple[str, ...]) -> None:
        nonlocal done
        async with turns:
            with path.open("rb") as file, ids.named(str(path.relative_to(corpus.KEPT))):
                came = await importer.take(Source(file.fileno(), path.name, str(path), groups, "bench"))
        if came.document is not None and came.document.state == "ready":
            taken[str(path)] = came.document
        done += 1
        if done % 50 == 0:
            left = (len(files) - done) * (time.monotonic() - begun) / done / 60
            tell(f"  {done}/{len(files)} documents, about {left:.1f} min left")

    await asyncio.gather(*(one(path, groups) for path, groups in files.items()))
    return taken


async def filled(pool: AsyncEngine, passages: int) -> int:
    """Copy what there is, vectors turned a little, until the library holds so many passages; how many it holds then.

    They have no index yet.
    """
    async with pool.connect() as connection:
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in ("SET statement_timeout = 0", "SET sovereign.groups = '*'", "SELECT setseed(0.5)"):
            await alone.execute(text(statement))
        await vector_index.drop(alone)
        there: int = (await alone.execute(text("SELECT count(*) FROM passage"))).scalar_one()
        while there < passages:
            await alone.execute(text(_COPY), {"more": passages - there})
            there = (await alone.execute(text("SELECT count(*) FROM passage"))).scalar_one()
        for statement in (_COUNTED, "VACUUM ANALYZE", "RESET sovereign.groups"):
            await alone.execute(text(statement))
    return there


@dataclass(frozen=True)
class Speed:
    """Pages of PDF a second: until words find them, and until meaning does too."""

    words: float
    meaning: float


@dataclass
class Manuals:
    """A library of manuals: what was taken, and how fast. ``live`` makes vectors anew, ``kept`` gives those it made."""

    pool: AsyncEngine
    live: Engine
    kept: Engine
    taken: dict[str, Document]
    speed: Speed | None


async def imported(
    pool: AsyncEngine,
    engines: tuple[Engine, Engine],
    papers: Sequence[Paper],
    faq: Sequence[Paper],
    printed: Sequence[Path],
) -> Manuals:
    """Take in the ``printed`` ones, timed, then ``papers``, and the ``faq``, which is for looking up alone.

    ``engines``: the one that is asked where it is timed, and the one whose vectors are kept.
    """
    live, kept = engines
    speed = await _speed(pool, live, printed)
    tell(f"importing {len(papers)} pages of the manuals and {len(faq)} answers to what people ask")
    files = {one.path: (GROUP, readers(one.language)) for one in papers} | {one.path: (GROUP,) for one in faq}
    with ids.seeded():
        taken = await take(Importer(Library(pool), _entered), files)
    tell("making vectors")
    await _vectors(pool, kept)
    await vector_index.made(pool, await Embedder(live, "bench").dimensions())
    return Manuals(pool, live, kept, taken, speed)


async def _speed(pool: AsyncEngine, live: Engine, printed: Sequence[Path]) -> Speed | None:
    if not printed:
        return None
    tell(f"importing {len(printed)} printed manuals")
    begun = time.perf_counter()
    taken = await take(Importer(Library(pool), _entered), dict.fromkeys(printed, ("printers",)))
    kept = time.perf_counter()
    await _vectors(pool, live)
    pages = sum(one.pages or 0 for one in taken.values())
    speed = Speed(pages / (kept - begun), pages / (time.perf_counter() - begun))
    tell(f"  {pages} pages: {speed.words:.1f} a second until words find them, {speed.meaning:.1f} until meaning does")
    return speed


async def _vectors(pool: AsyncEngine, engine: Engine) -> None:
    vectoring = Vectoring(pool, Embedder(engine, "bench"))
    total, told, begun = (await vectoring.awaiting()).passages, time.monotonic(), time.monotonic()
    while await vectoring.some() == "made":
        if time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            left = (await vectoring.awaiting()).passages
            minutes = left * (told - begun) / max(total - left, 1) / 60
            tell(f"  {total - left}/{total} passages, about {minutes:.1f} min left")
    if (lacking := (await vectoring.awaiting()).passages) or vectoring.unread:
        raise RuntimeError(f"{lacking} passages have no vectors: {vectoring.unread}")
