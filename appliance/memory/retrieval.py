"""Passages that answer a question, among those that the asker's groups may see: by words and by meaning, ranks fused.

By words (``word_search``) it is looked for while the question's vector is made, by meaning (``vector_search``) once it
is there; nobody waits for a connection, or for the model, while holding one. All queries ask for groups themselves, and
the database's policy asks again (``access``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, tuple_

from appliance.memory.access import Asker, reading
from appliance.memory.copies import Brought, told_once
from appliance.memory.documents import Found, Place
from appliance.memory.fusion import fused
from appliance.memory.schema import document, passage
from appliance.memory.vector_search import neighbours
from appliance.memory.word_search import DEPTH, by_words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from appliance.memory.vector_search import Meaning

    Worded = tuple[list[int], int]

MAX_QUESTION = 4000
RANKING = 3
"""Grows when the same question comes to other passages: what was calibrated on answers from them holds no longer."""
_AT_ONCE = 2
"""So many times as many passages are read as are wanted: some may be copies of others."""


class Retrieval:
    """Questions to the documents in the database behind ``engine``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def found(
        self,
        question: str,
        asked: Meaning | Awaitable[Meaning] | None,
        groups: Iterable[str] | None,
        limit: int = 8,
        meaning: float = 1.0,
    ) -> tuple[Found, ...]:
        """The best passages for ``question``, at most ``limit``, best first; ``groups`` None is the keeper.

        Without ``asked``, words alone decide; where it is still to be made, words are looked for meanwhile, and what it
        raises is raised. ``meaning`` is how much the ranking by vectors counts beside that by words.
        """
        asker = Asker(tuple(groups) if groups is not None else None)
        async with _beside(self._by_words(question[:MAX_QUESTION], asker)) as words:
            vector = await asked if isinstance(asked, Awaitable) else asked
            ranked, among = await words
        async with neighbours(self._engine, vector, asker, among, DEPTH) as (connection, near):
            best = fused([(1.0, ranked), (meaning, list(near))])
            return await self._passages(connection, asker, question, best, near, limit)

    async def still(self, places: Sequence[Place], groups: Iterable[str]) -> tuple[Found | None, ...]:
        """Each of ``places`` as it stands now, verbatim; None where ``groups`` may not see it, or that version is gone.

        So a passage that was found earlier is shown, or cited, under what holds at this moment.
        """
        named = list(groups)
        query = (
            select(passage, document.c.title, document.c.digest, document.c.text_digest)
            .join(document, document.c.id == passage.c.document_id)
            .where(document.c.groups.overlap(named), document.c.state == "ready")
            .where(passage.c.document_id.in_({place.document for place in places}))
            .where(tuple_(passage.c.first, passage.c.last).in_({(place.first, place.last) for place in places}))
        )
        async with reading(self._engine, named) as connection:
            rows = (await connection.execute(query)).all() if places else ()
        known = {Place(row.document_id, row.text_digest, row.first, row.last): found_of(row) for row in rows}
        return tuple(known.get(place) for place in places)

    async def answerable(self, groups: Iterable[str]) -> bool:
        """Whether there is a document that ``groups`` may be answered from."""
        named = list(groups)
        query = select(document.c.id).where(document.c.groups.overlap(named), document.c.state == "ready").limit(1)
        async with reading(self._engine, named) as connection:
            return (await connection.execute(query)).one_or_none() is not None

    async def _by_words(self, question: str, asker: Asker) -> Worded:
        async with asker.transaction(self._engine) as connection:
            return await by_words(connection, question, asker)

    @staticmethod
    async def _passages(  # noqa: PLR0913, PLR0917 - private; one call
        connection: AsyncConnection,
        asker: Asker,
        question: str,
        best: Sequence[tuple[int, float]],
        near: Mapping[int, float],
        limit: int,
    ) -> tuple[Found, ...]:
        """The first ``limit`` of ``best``, without those that repeat another's words (``copies``)."""
        read: list[Brought] = []
        told: list[Found] = []
        for start in range(0, len(best), step := _AT_ONCE * limit):
            part = best[start : start + step]
            query = (
                "SELECT p.id, p.document_id, p.ordinal, p.first, p.last, p.page, p.headings, p.body, p.language, d.* "  # noqa: S608 - text of this module
                "FROM passage AS p CROSS JOIN LATERAL (SELECT d.title, d.digest, d.text_digest, d.imported_by "
                f"FROM document AS d WHERE d.id = p.document_id AND d.state = 'ready' AND {asker.may_see('d')} OFFSET 0"
                ") AS d WHERE p.id = ANY(:numbers)"
            )
            values = {"numbers": [number for number, _ in part], **asker.named}
            rows = {row.id: row for row in await connection.execute(asker.typed(query), values)}
            for number, score in part:
                if (row := rows.get(number)) is not None:
                    read.append(Brought(found_of(row, score, near.get(number)), row.imported_by))
            told = told_once(question, read)
            if len(told) >= limit:
                break
        return tuple(told[:limit])


def found_of(row: Row[Any], score: float = 0.0, cosine: float | None = None) -> Found:
    """A passage's row, with its document's title and digests, as a value."""
    return Found(
        document=row.document_id,
        title=row.title,
        digest=row.digest,
        text_digest=row.text_digest,
        passage=row.id,
        ordinal=row.ordinal,
        first=row.first,
        last=row.last,
        page=row.page,
        headings=tuple(row.headings),
        body=row.body,
        language=row.language,
        score=score,
        cosine=cosine,
    )


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, Worded]) -> AsyncIterator[asyncio.Task[Worded]]:
    """``work`` under way, which does not outlive the block.

    Where the block fails, it goes on to its end, which is near: to cut a statement short costs its connection.
    """
    task = asyncio.create_task(work)
    try:
        yield task
    except asyncio.CancelledError:
        task.cancel()
        raise
    finally:
        await asyncio.gather(task, return_exceptions=True)
