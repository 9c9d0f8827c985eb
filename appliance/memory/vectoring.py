"""Vectors of what the library holds, made after it came in, a few passages at a time.

Words find a document as soon as it is there; meaning finds each of its passages once that has a vector. What is still
to be made stands in the database alone: whoever comes next (a command, the gateway) goes on where another stopped, was
killed or met a change of the model. A document names the model whose vectors it has or is being given; those of a
former model go first. The smallest rest comes first, so that a page waits for no book. One makes vectors at a time, and
who else wants to has a turn after each lot. Whoever changes a document locks its row before its passages, here and in
``store``.
"""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from psycopg.errors import DataError, ProgramLimitExceeded
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from appliance.errors import UnavailableError
from appliance.memory.access import keeping
from appliance.memory.chunking import Chunk, halves
from appliance.memory.errors import ModelBusyError, TooManyTokensError, UnreadableError

if TYPE_CHECKING:
    import uuid
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.memory.vectors import Embedder

AT_ONCE = 32
"""Passages of a lot: some ten thousand tokens, which no engine refuses together."""
Lot = Literal["made", "busy", "done"]
_MAX_HEADINGS = 300
LOCK = "x'76656374'::int"
"""Whoever makes vectors holds this, and whoever makes an index of them (``vector_index``)."""
_HAVE = "(SELECT document_id, count(*) AS have FROM passage_vector GROUP BY document_id) AS v"
_LEFT = "d.passages - CASE WHEN d.model = :model THEN coalesce(v.have, 0) ELSE 0 END"
_REST = (
    f"FROM document AS d LEFT JOIN {_HAVE} ON v.document_id = d.id WHERE d.state = 'ready' AND {_LEFT} > 0 "
    "AND (CAST(:only AS uuid[]) IS NULL OR d.id = ANY(CAST(:only AS uuid[])))"
)
_AWAITING = text(f"SELECT count(*) AS documents, coalesce(sum({_LEFT}), 0)::bigint AS passages {_REST}")
_NEXT = text(
    f"SELECT d.id, d.title, d.model IS DISTINCT FROM :model AS anew {_REST} "  # noqa: S608 - text of this module
    "AND d.id <> ALL(CAST(:over AS uuid[])) "
    f"ORDER BY d.id = ANY(CAST(:late AS uuid[])), {_LEFT}, d.imported, d.id LIMIT 1"
)
_NAMED = text("UPDATE document SET model = :model WHERE id = :id")
_FORMER = text("DELETE FROM passage_vector WHERE document_id = :id")
_PASSAGES = text(
    "SELECT p.id, p.headings, p.body FROM passage AS p WHERE p.document_id = :id "
    "AND NOT EXISTS (SELECT FROM passage_vector AS v WHERE v.passage_id = p.id) ORDER BY p.ordinal LIMIT :most"
)
_STILL = text("SELECT model FROM document WHERE id = :id FOR SHARE")
_KEEP = text(
    "INSERT INTO passage_vector (passage_id, document_id, embedding) "
    "SELECT id, document_id, CAST(:vector AS halfvec) FROM passage WHERE id = :passage ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True)
class Awaiting:
    """Documents that lack vectors of the site's model, and how many passages do."""

    documents: int
    passages: int


class Vectoring:
    """One round over the library behind ``engine``: its documents, or those of ``only``, are given vectors.

    ``unread`` are documents that the model gave no vectors for a part of, and why: the round goes on behind them.
    ``given`` are those that got some. Those that are ``late`` come last, and those that are ``over`` not at all.
    """

    def __init__(  # noqa: PLR0913 - which documents, by keyword
        self,
        engine: AsyncEngine,
        embedder: Embedder,
        at_once: int = AT_ONCE,
        *,
        only: Sequence[uuid.UUID] | None = None,
        late: Sequence[uuid.UUID] = (),
        over: Sequence[uuid.UUID] = (),
    ) -> None:
        self._engine = engine
        self._embedder = embedder
        self._at_once = at_once
        self._only = list(only) if only is not None else None
        self._late = list(late)
        self._over = list(over)
        self.unread: dict[uuid.UUID, str] = {}
        self.given: set[uuid.UUID] = set()

    async def awaiting(self) -> Awaiting:
        """What is still to be made. Raises ``UnavailableError`` where the embedding model does not answer."""
        asked = {"model": await self._embedder.anew().model(), "only": self._only}
        async with keeping(self._engine) as connection:
            row = (await connection.execute(_AWAITING, asked)).one()
        return Awaiting(row.documents, row.passages)

    async def some(self) -> Lot:
        """Give some passages their vectors: ``made``.

        ``busy``, and nothing is done, where somebody else is at it; ``done`` where nothing is left that this round has
        not tried. Raises ``UnavailableError`` where the embedding model does not answer; what was made stays, and the
        document that it was at then is among ``unread``.
        """
        embedder = self._embedder.anew()  # the site's model may be another than a moment ago
        model = await embedder.model()
        async with self._alone() as alone:
            if not alone:
                return "busy"
            of = await self._next(model)
            if of is None:
                return "done"
            try:
                await self._given(of, embedder, model)
            except ModelBusyError:
                raise
            except UnavailableError as error:
                self.unread[of.id] = error.cause
                self._over.append(of.id)
                await embedder.anew().model()  # it is gone, or there is something about the document
        return "made"

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[bool]:
        """Whether nobody else makes vectors, nor begins to within the block. No transaction is held meanwhile."""
        async with self._engine.connect() as connection:
            mine = await connection.execution_options(isolation_level="AUTOCOMMIT")
            free = bool((await mine.execute(text(f"SELECT pg_try_advisory_lock({LOCK})"))).scalar_one())
            try:
                yield free
            finally:
                if free:
                    await mine.execute(text(f"SELECT pg_advisory_unlock({LOCK})"))

    async def _next(self, model: str) -> Row[Any] | None:
        """A document that lacks vectors of ``model``, which it names from then on; none that this round left."""
        asked = {"model": model, "only": self._only, "over": self._over, "late": self._late}
        async with keeping(self._engine) as connection:
            row = (await connection.execute(_NEXT, asked)).one_or_none()
            if row is not None and row.anew:
                await connection.execute(_NAMED, {"id": row.id, "model": model})  # first: whoever keeps some waits here
                await connection.execute(_FORMER, {"id": row.id})
        return row

    async def _given(self, of: Row[Any], embedder: Embedder, model: str) -> None:
        """Give some passages of a document their vectors. Raises ``UnreadableError``."""
        async with keeping(self._engine) as connection:
            rows = (await connection.execute(_PASSAGES, {"id": of.id, "most": self._at_once})).all()
        if not rows:  # it needs none after all
            self._over.append(of.id)
            return
        vectors = await self._made(embedder, [(row.headings, row.body) for row in rows], of.title)
        values = [{"passage": row.id, "vector": one} for row, one in zip(rows, vectors, strict=True)]
        async with keeping(self._engine) as connection:
            still = (await connection.execute(_STILL, {"id": of.id})).one_or_none()
            if still is None or still.model is None:
                return  # it was deleted or replaced meanwhile
            if still.model != model:
                raise UnreadableError("somebody gives it another model's: site.yaml names one that is not in force yet")
            try:
                await connection.execute(_KEEP, values)
            except DBAPIError as error:
                if isinstance(error.orig, (DataError, ProgramLimitExceeded)):
                    raise UnreadableError("the embedding model's answer holds no vectors") from error
                raise
        self.given.add(of.id)

    async def _made(self, embedder: Embedder, passages: Sequence[tuple[Sequence[str], str]], title: str) -> list[str]:
        """A vector for each of ``passages``: of one that is longer than the model reads, the middle of its parts'.

        What was computed is not asked again: after a cut, the parts that were asked for together are.
        """
        parts = [(number, headings, body) for number, (headings, body) in enumerate(passages)]
        made: list[str] = []
        while len(made) < len(parts):
            lot = parts[len(made) : len(made) + self._at_once]
            try:
                made += await embedder.vectors([read(body, on, title) for _, on, body in lot], "document")
            except TooManyTokensError as error:
                at = len(made) + error.number
                number, headings, body = parts[at]
                cut = halves(body, Chunk(0, len(body), (), None)) or ()
                parts[at : at + 1] = [(number, headings, body[c.start : c.end]) for c in cut]
        of: list[list[str]] = [[] for _ in passages]
        for (number, _, _), vector in zip(parts, made, strict=True):
            of[number].append(vector)
        if not made and any(len(body) > 1 for _, body in passages):
            raise UnreadableError("the embedding model reads nothing at all")
        none = await embedder.dimensions()
        return [middle(some) if some else f"[{','.join(['0'] * none)}]" for some in of]


def read(body: str, headings: Sequence[str], title: str) -> str:
    """A passage as the embedding model reads it: what it is about stands in front."""
    about = " / ".join(headings) if headings else title
    return f"{about[:_MAX_HEADINGS]}\n{body}"


def middle(vectors: Sequence[str]) -> str:
    """The direction between ``vectors``, which are written as pgvector has them. Pure."""
    if len(vectors) == 1:
        return vectors[0]
    numbers = [[float(number) for number in one[1:-1].split(",")] for one in vectors]
    summed = [math.fsum(row) for row in zip(*numbers, strict=True)]
    length = math.hypot(*summed) or 1.0
    return f"[{','.join(f'{number / length:.5g}' for number in summed)}]"
