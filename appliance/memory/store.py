"""The library: documents are put in, replaced, listed and taken out.

Each act is one transaction: a document is there with all its passages and counts of words, or it is not. Those
that change something take turns (an advisory lock), since all of them change the counts.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Literal

from psycopg.errors import DataError, ProgramLimitExceeded
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from appliance.memory import sweeping, vector_index
from appliance.memory.access import keeping, reading
from appliance.memory.documents import NOBODY, Document
from appliance.memory.errors import DocumentRefusedError, NoDocumentError
from appliance.memory.passages import count, keep, uncount
from appliance.memory.schema import brief_line, brief_strike, document, passage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from appliance.memory.documents import Arrival, Reading
    from appliance.memory.errors import Reason

    Named = Callable[[AsyncConnection, str], Awaitable[str]]

_UNFIT = (DataError, ProgramLimitExceeded)
Outcome = Literal["new", "replaced", "unchanged", "refused"]
TURN = text("SELECT pg_advisory_xact_lock(x'646f6373'::int)")
"""Whoever changes documents, or writes down where their sentences stand, does so one at a time."""
DUE = text("INSERT INTO sweep_due (what) VALUES ('documents') ON CONFLICT (what) DO UPDATE SET since = now()")
"""Goes with whatever leaves in the files what the library says no more."""


class Library:
    """Documents in the database behind ``engine``.

    ``named`` says who stands beside what somebody brings, asked in the turn in which it is kept: an erasure
    (``brought``) has had its own by then, or finds the document. Without it, whoever brings is named.
    """

    def __init__(self, engine: AsyncEngine, named: Named | None = None) -> None:
        self._engine = engine
        self._named = named

    async def known(self, origin: str) -> Document | None:
        """The document from ``origin``, whoever may see it."""
        async with keeping(self._engine) as connection:
            row = (await connection.execute(select(document).where(document.c.origin == origin))).one_or_none()
        return _document(row) if row is not None else None

    async def put(self, arrival: Arrival, read: Reading) -> tuple[Document, Outcome]:
        """Keep a document that was read; an earlier version of the same origin is gone with all that it said.

        Raises ``DocumentRefusedError`` where the database can hold no such text; nothing was changed then.
        """
        values = {
            "state": "ready",
            "reason": None,
            "language": read.language,
            "text_digest": read.text_digest,
            "pages": read.pages,
            "characters": read.characters,
            "passages": len(read.passages),
            "model": None,
        }
        async with keeping(self._engine) as connection:
            await _clear(connection, arrival.origin)
            await connection.execute(TURN)
            row, outcome = await self._row(connection, arrival, values)
            try:
                await keep(connection, row.id, read.language, read.passages)
                await count(connection, row.id)
                row = await self._told(connection, row, arrival.imported_by)
            except DBAPIError as error:
                if isinstance(error.orig, _UNFIT):
                    raise DocumentRefusedError("damaged", "the database cannot hold what the document says") from error
                raise
        return _document(row), outcome

    async def refuse(self, arrival: Arrival, reason: Reason) -> tuple[Document, Outcome]:
        """Note that a document could not be read. An earlier version is gone: its place holds something else now."""
        values = dict.fromkeys(("text_digest", "pages", "model"))
        counts = {"state": "refused", "reason": reason, "language": "other", "characters": 0, "passages": 0}
        async with keeping(self._engine) as connection:
            await _clear(connection, arrival.origin)
            await connection.execute(TURN)
            row, _ = await self._row(connection, arrival, values | counts)
            row = await self._told(connection, row, arrival.imported_by)
        return _document(row), "refused"

    async def regroup(self, document_id: uuid.UUID, groups: Sequence[str]) -> Document:
        """Let other groups see a document, from the next question on. Raises ``NoDocumentError``."""
        changed = update(document).where(document.c.id == document_id).values(groups=list(groups)).returning(document)
        async with keeping(self._engine) as connection:
            await vector_index.give_way(connection)
            await connection.execute(TURN)
            await uncount(connection, document_id)
            row = (await connection.execute(changed)).one_or_none()
            await count(connection, document_id)
        if row is None:
            raise NoDocumentError(f"there is no document {document_id}", "`sovereign document list` names them")
        return _document(row)

    async def delete(self, document_id: uuid.UUID) -> Document:
        """Take a document out: its passages, vectors and words go with it. Raises ``NoDocumentError``.

        What pages and files of the database still hold is overwritten by ``sweep``.
        """
        async with keeping(self._engine) as connection:
            await vector_index.give_way(connection)
            await connection.execute(TURN)
            await _forget(connection, document_id)
            await connection.execute(delete(brief_strike).where(brief_strike.c.source == document_id))
            gone = delete(document).where(document.c.id == document_id).returning(document)
            row = (await connection.execute(gone)).one_or_none()
        if row is None:
            raise NoDocumentError(f"there is no document {document_id}", "`sovereign document list` names them")
        return _document(row)

    async def sweep(self) -> bool:
        """Write the tables anew, without what was deleted or replaced, if anything was; questions wait for seconds.

        False: somebody's open transaction could ask for it, and what was deleted is in the files until another sweep.
        """
        return await sweeping.sweep(self._engine)

    async def due(self) -> datetime | None:
        """Since when the database's files have held something that was deleted or replaced; None where they do not."""
        return await sweeping.due(self._engine)

    async def listed(self, groups: Iterable[str] | None = None) -> tuple[Document, ...]:
        """Documents by title: those that ``groups`` may see, or all of them (None: the keeper asks)."""
        query = select(document).order_by(document.c.title, document.c.origin)
        if groups is None:
            async with keeping(self._engine) as connection:
                return tuple(_document(row) for row in (await connection.execute(query)).all())
        named = list(groups)
        async with reading(self._engine, named) as connection:
            return tuple(_document(r) for r in (await connection.execute(query.where(seen_by(named)))).all())

    async def shown(self, document_id: uuid.UUID, groups: Iterable[str] | None = None) -> tuple[Document, str]:
        """A document and its text. Raises ``NoDocumentError``, also where ``groups`` may not see it."""
        one = select(document).where(document.c.id == document_id)
        said = select(passage.c.first, passage.c.body).where(passage.c.document_id == document_id)
        named = list(groups) if groups is not None else None
        opened = keeping(self._engine) if named is None else reading(self._engine, named)
        async with opened as connection:
            row = (await connection.execute(one if named is None else one.where(seen_by(named)))).one_or_none()
            if row is None:
                raise NoDocumentError(f"there is no document {document_id}", "`sovereign document list` names them")
            parts = (await connection.execute(said.order_by(passage.c.ordinal))).all()
        whole = ""
        for part in parts:
            whole += part.body[len(whole) - part.first :]
        return _document(row), whole

    async def _told(self, connection: AsyncConnection, row: Row[Any], by: str) -> Row[Any]:
        """The row with whom ``named`` names: last, so that nothing which it looks at is held for longer than that."""
        if self._named is None:
            return row
        named = update(document).where(document.c.id == row.id).values(imported_by=await self._named(connection, by))
        told: Row[Any] = (await connection.execute(named.returning(document))).one()
        return told

    async def _row(
        self, connection: AsyncConnection, arrival: Arrival, values: dict[str, Any]
    ) -> tuple[Row[Any], Outcome]:
        values |= {
            "title": arrival.title,
            "media_type": arrival.media_type,
            "digest": arrival.digest,
            "groups": list(arrival.groups),
            "imported_by": arrival.imported_by if self._named is None else NOBODY,
            "imported": func.now(),
            "folder": arrival.folder,
        }
        known = select(document.c.id).where(document.c.origin == arrival.origin)
        before = (await connection.execute(known)).scalar_one_or_none()
        if before is None:
            made = insert(document).values(id=uuid.uuid4(), origin=arrival.origin, **values).returning(document)
            return (await connection.execute(made)).one(), "new"
        await _forget(connection, before)
        changed = update(document).where(document.c.id == before).values(values).returning(document)
        return (await connection.execute(changed)).one(), "replaced"


def seen_by(groups: Sequence[str]) -> Any:
    """Whether one of ``groups`` may see the document: the question itself, which the database's own policy repeats."""
    return document.c.groups.overlap(list(groups))


async def _clear(connection: AsyncConnection, origin: str) -> None:
    """Before ``TURN``, for whoever has it waits for nobody: nothing stands in the way of replacing what is there."""
    there = select(document.c.id).where(document.c.origin == origin)
    if (await connection.execute(there)).one_or_none() is not None:
        await vector_index.give_way(connection)


async def _forget(connection: AsyncConnection, document_id: uuid.UUID) -> None:
    """What a document said. Its row is locked first, as by whoever gives it vectors (``vectoring``)."""
    await connection.execute(select(document.c.id).where(document.c.id == document_id).with_for_update())
    await connection.execute(DUE)
    await uncount(connection, document_id)
    await connection.execute(delete(passage).where(passage.c.document_id == document_id))
    await connection.execute(delete(brief_line).where(brief_line.c.source == document_id))


def _document(row: Row[Any]) -> Document:
    return Document(**{**row._mapping, "groups": tuple(row.groups)})  # noqa: SLF001 - a row's public mapping
