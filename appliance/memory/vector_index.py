"""The index of vectors: neighbours are found without comparing all (HNSW, as pgvector has it), where there are many.

One for each number of dimensions that has enough of them. The gateway makes it where it is ``wanted``, in the one
transaction that also keeps it from being sampled (``schema``). Whoever takes a document out goes first (``give_way``):
the making is ended then. A sweep drops it before it writes vectors anew, since an index holds copies of what was
deleted, and to make it again would keep everybody waiting; until it is there again, every vector is compared.

Malkov, Yashunin: Efficient and robust approximate nearest neighbor search using HNSW graphs, IEEE TPAMI 2020.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg.errors import LockNotAvailable, QueryCanceled
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from appliance.memory.vectoring import LOCK

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

WORTH = 10_000
"""Vectors of one kind that are enough for an index."""
READY = "EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(:index) AND indisvalid)"
_NAME = "ix_passage_vector_near_"
_PATIENCE = (
    "SET LOCAL statement_timeout = '1h'",
    "SET LOCAL lock_timeout = '2s'",
    "SET LOCAL maintenance_work_mem = '192MB'",
    "SET LOCAL max_parallel_maintenance_workers = 0",
)
"""Nobody gives vectors meanwhile; it takes one processor, and a quarter of the database's memory."""
_BUILT = "WITH (m = 16, ef_construction = 128)"
"""``make bench-learning`` counts how many of the nearest are found with this and ``vector_search``'s width."""
_WANTED = text(
    f"SELECT NOT {READY} AND NOT EXISTS (SELECT FROM sweep_due) "  # noqa: S608 - text of this module
    "AND (SELECT count(*) FROM (SELECT FROM passage_vector WHERE vector_dims(embedding) = :dimensions "
    "LIMIT :worth) AS v) >= :worth"
)
_MAKING = "x'6e656172'::int"
_ALONE = text(f"SELECT pg_try_advisory_xact_lock({_MAKING}) AND pg_try_advisory_xact_lock({LOCK})")
_END = text(
    "SELECT pg_cancel_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "  # noqa: S608 - as above
    f"AND classid = 0 AND objid = {_MAKING}::oid AND pid <> pg_backend_pid() "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_BEFORE_IT = text("LOCK TABLE passage_vector IN ROW EXCLUSIVE MODE")
_ALL = text("SELECT relname FROM pg_class WHERE relkind = 'i' AND starts_with(relname, :named)")


def named(dimensions: int) -> str:
    """The index's name."""
    return f"{_NAME}{dimensions}"


def of(dimensions: int, embedding: str) -> tuple[str, str]:
    """The column ``embedding`` as the index has it, and which rows it has."""
    return f"CAST({embedding} AS halfvec({dimensions}))", f"vector_dims({embedding}) = {dimensions}"


async def wanted(engine: AsyncEngine, dimensions: int) -> bool:
    """Whether there are vectors enough, and neither the index nor a sweep that is due, which would drop it."""
    asked = {"index": named(dimensions), "dimensions": dimensions, "worth": WORTH}
    async with engine.begin() as connection:
        return bool((await connection.execute(_WANTED, asked)).scalar_one())


async def made(engine: AsyncEngine, dimensions: int) -> bool:
    """Make the index where it is wanted.

    False: it is not there, since it is not wanted, or somebody else makes it, writes vectors, or wants to take a
    document out. Those who look something up go on meanwhile.
    """
    name = named(dimensions)
    embedding, where = of(dimensions, "embedding")
    asked = {"index": name, "dimensions": dimensions, "worth": WORTH}
    try:
        async with engine.begin() as connection:
            if not (await connection.execute(_ALONE)).scalar_one():
                return False
            for setting in _PATIENCE:
                await connection.execute(text(setting))
            if not (await connection.execute(_WANTED, asked)).scalar_one():
                return False
            how = f"USING hnsw (({embedding}) halfvec_ip_ops) {_BUILT} WHERE {where}"
            await connection.execute(text(f"CREATE INDEX {name} ON passage_vector {how}"))
            await connection.execute(text(f"ALTER INDEX {name} ALTER COLUMN 1 SET STATISTICS 0"))
    except DBAPIError as error:
        if isinstance(error.orig, (LockNotAvailable, QueryCanceled)):
            return False
        raise
    return True


async def end(connection: AsyncConnection) -> None:
    """Let whoever is making an index stop."""
    await connection.execute(_END)


async def give_way(connection: AsyncConnection) -> None:
    """Before ``connection`` takes a document away, or away from somebody: an index that is being made is made later.

    Nobody begins another until this transaction is through.
    """
    await end(connection)
    await connection.execute(_BEFORE_IT)


async def drop(alone: AsyncConnection) -> None:
    """Drop all of them; ``alone`` is in no transaction. Waits for who looks something up, as long as it was told to."""
    for name in (await alone.execute(_ALL, {"named": _NAME})).scalars().all():
        await alone.execute(text(f"DROP INDEX IF EXISTS {name}"))
