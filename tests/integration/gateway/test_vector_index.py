"""The index of vectors comes and goes by itself: nobody waits for it, and nothing of what was deleted stays in it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import text

from appliance.install.database import restoring
from appliance.memory import sweeping, vector_index
from appliance.memory.access import keeping
from appliance.memory.store import Library
from appliance.memory.vectoring import Vectoring
from tests.gateway import postgres
from tests.integration.gateway.drawn_vectors import INDEX, drawn, indexed
from tests.memory.library import DIMENSIONS, House, remains

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("many_vectors")]
MEMORY = ("maintenance_work_mem", "max_parallel_maintenance_workers")
SECRET = [round(0.37 - 0.011 * n, 4) for n in range(DIMENSIONS)]


async def test_an_index_is_made_where_there_are_many_and_once(pool: AsyncEngine) -> None:
    await drawn(pool, "clerks", 99)
    assert not await vector_index.made(pool, DIMENSIONS)
    await drawn(pool, "board", 1)
    assert await vector_index.made(pool, DIMENSIONS)
    assert await indexed(pool)
    assert not await vector_index.made(pool, DIMENSIONS)


async def test_two_gateways_make_one_index(pool: AsyncEngine) -> None:
    await drawn(pool, "clerks", 3000)
    made = await asyncio.gather(*(vector_index.made(pool, DIMENSIONS) for _ in range(3)))
    assert sorted(made) == [False, False, True]


async def test_the_index_is_put_off_while_somebody_writes_vectors(pool: AsyncEngine) -> None:
    number = await drawn(pool, "clerks", 100)
    async with keeping(pool) as writing:
        await writing.execute(text("DELETE FROM passage_vector WHERE document_id = :id"), {"id": number})
        assert not await vector_index.made(pool, DIMENSIONS)
        await writing.rollback()
    assert await vector_index.made(pool, DIMENSIONS)


@pytest.mark.parametrize("way", ["deleted", "regrouped", "replaced"])
async def test_nobody_waits_for_the_index_to_take_a_document_away(
    way: str, pool: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A making that would take a minute is ended by whoever takes something out, and nothing is left of it."""
    house = House(pool, later=True)
    taken = await house.take("leaked.txt", "Nightingales sing.", "clerks")
    assert taken.document is not None
    await drawn(pool, "clerks", 100)
    async with pool.connect() as connection:  # nothing of the index itself is slow
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await alone.execute(
            text(
                "CREATE FUNCTION dawdling(h halfvec) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS "
                "$$BEGIN PERFORM pg_sleep(0.6); RETURN true; END$$"
            )
        )
    of = vector_index.of
    monkeypatch.setattr(vector_index, "of", lambda d, e: (of(d, e)[0], f"{of(d, e)[1]} AND dawdling({e})"))
    try:
        making = asyncio.create_task(vector_index.made(pool, DIMENSIONS))
        await begun(pool)
        async with asyncio.timeout(20):
            if way == "deleted":
                await house.library.delete(taken.document.id)
            elif way == "regrouped":
                await house.library.regroup(taken.document.id, ["board"])
            else:
                await house.take("leaked.txt", "Larks sing.", "clerks")
            assert not await making
        assert not await indexed(pool)
    finally:
        async with pool.connect() as connection:
            alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await alone.execute(text("DROP FUNCTION dawdling CASCADE"))


async def test_who_gives_vectors_has_no_row_locked_while_an_index_is_made(pool: AsyncEngine) -> None:
    house = House(pool, later=True)
    await house.take("a.txt", "Nightingales sing.", "clerks")
    embedder = house.embedder
    assert embedder is not None
    async with pool.begin() as making:
        await making.execute(vector_index._ALONE)  # as whoever makes one
        assert await Vectoring(pool, embedder).some() == "busy"
    assert await Vectoring(pool, embedder).some() == "made"


async def begun(pool: AsyncEngine) -> None:
    """Once an index is being made."""
    making = text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%' AND state = 'active'")
    async with asyncio.timeout(20), pool.connect() as connection:
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")  # each look is a new one
        while not (await alone.execute(making)).scalar_one():  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.05)


async def test_a_sweep_that_cannot_be_done_leaves_the_index_where_it_is(pool: AsyncEngine) -> None:
    house = House(pool, later=True)
    taken = await house.take("a.txt", "Nightingales sing.", "clerks")
    assert taken.document is not None
    await drawn(pool, "clerks", 100)
    assert await vector_index.made(pool, DIMENSIONS)
    async with pool.connect() as older:
        await older.execution_options(isolation_level="REPEATABLE READ")
        await older.execute(text("SELECT count(*) FROM sweep_due"))  # it could ask for what is deleted now
        await house.library.delete(taken.document.id)
        assert not await sweeping.sweep(pool, attempts=1)
        await older.rollback()
    assert await indexed(pool)
    assert await house.library.sweep()
    assert not await indexed(pool)


async def test_a_sweep_leaves_nothing_of_a_deleted_vector_in_the_index(
    pool: AsyncEngine, cluster: postgres.Cluster
) -> None:
    await drawn(pool, "clerks", 200)
    gone = await drawn(pool, "clerks", 1)
    async with keeping(pool) as connection:
        made = text("UPDATE passage_vector SET embedding = CAST(:vector AS halfvec) WHERE document_id = :id")
        await connection.execute(made, {"vector": str(SECRET), "id": gone})
        raw = text("SELECT halfvec_send(embedding) FROM passage_vector WHERE document_id = :id")
        sent = bytes((await connection.execute(raw, {"id": gone})).scalar_one())
    secrets = {"vector": b"".join(sent[4 + at : 6 + at][::-1] for at in range(0, 2 * DIMENSIONS, 2))}
    assert await vector_index.made(pool, DIMENSIONS)
    with cluster.admin() as connection:
        connection.execute("CHECKPOINT")
    assert remains(cluster, secrets) == {"vector"}
    await Library(pool).delete(gone)
    assert not await vector_index.made(pool, DIMENSIONS)  # it would be dropped at once
    assert await Library(pool).sweep()
    assert not await indexed(pool)
    assert await vector_index.made(pool, DIMENSIONS)
    with cluster.admin() as connection:
        connection.execute("CHECKPOINT")
    assert remains(cluster, secrets) == set()


async def test_no_sample_of_a_vector_is_kept_by_statistics(pool: AsyncEngine) -> None:
    await drawn(pool, "clerks", 200)
    assert await vector_index.made(pool, DIMENSIONS)
    async with pool.connect() as connection:
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await alone.execute(text("ANALYZE"))
        about = text("SELECT count(*) FROM pg_stats WHERE tablename IN ('passage_vector', :index)")
        assert (await alone.execute(about, {"index": INDEX})).scalar_one() == 0


async def test_a_restore_makes_the_index_with_as_much_memory(cluster: postgres.Cluster) -> None:
    where: dict[str, Any] = {"host": str(cluster.socket_dir), "port": postgres.PORT, "user": "postgres"}
    with psycopg.connect(restoring("sovereign"), **where) as connection:
        said = [connection.execute(f"SHOW {name}").fetchone() for name in MEMORY]
        assert [*said, connection.info.dbname] == [("192MB",), ("0",), "sovereign"]
