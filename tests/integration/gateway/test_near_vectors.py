"""Of many passages, an index finds those that are near: for whom they are, as well as comparing all, and for a while.

Vectors are put in as they are, of 32 numbers and drawn by the database; no model reads anything.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text

from appliance.memory import sweeping, vector_index, vector_search
from appliance.memory.access import Asker, keeping
from appliance.memory.store import Library
from appliance.memory.vector_search import Meaning, by_meaning
from tests.memory.library import DIMENSIONS, House, remains

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.gateway import postgres

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("many")]
MODEL = "sha256:" + "a" * 64
INDEX = vector_index.named(DIMENSIONS)
CLERKS, BOARD = Asker(("clerks",)), Asker(("board",))
_DRAWN = (
    "(SELECT array_agg({around} * (g = 1)::int + random() - 0.5) FROM generate_series(1, :dimensions) AS g WHERE n > 0)"
)
_KEEP = """
WITH d AS (INSERT INTO document (id, origin, title, media_type, language, digest, groups, state, characters, passages,
        model, imported_by)
    VALUES (:id, :origin, 'drawn', 'text/plain', 'en', 'sha256:0', ARRAY[:group], 'ready', 1, :many, :model, 'uid 0')),
p AS (INSERT INTO passage (document_id, ordinal, first, last, headings, body, language, words)
    SELECT :id, n, 0, 1, '{{}}', 'drawn ' || n, 'en', '' FROM generate_series(1, :many) AS n RETURNING id, ordinal AS n)
INSERT INTO passage_vector SELECT id, :id, l2_normalize({drawn}::halfvec) FROM p
"""
_COUNT = text(
    "INSERT INTO word_count VALUES ('en', '', ARRAY[:group], :many) "
    "ON CONFLICT (language, word, groups) DO UPDATE SET passages = word_count.passages + excluded.passages"
)
SECRET = [round(0.37 - 0.011 * n, 4) for n in range(DIMENSIONS)]


def towards(first: float) -> Meaning:
    """A question whose vector leans to the first number so much, and to all others alike."""
    return Meaning(f"[{','.join(map(str, [first, *[0.1] * (DIMENSIONS - 1)]))}]", MODEL)


async def drawn(pool: AsyncEngine, group: str, many: int, around: float = 0.0) -> uuid.UUID:
    """A document of so many passages whose vectors lie about a direction; its number."""
    number = uuid.uuid4()
    keep = text(_KEEP.format(drawn=_DRAWN.format(around=around)))
    values = {"id": number, "origin": str(number), "group": group, "many": many, "model": MODEL}
    async with keeping(pool) as connection:
        await connection.execute(text("SELECT setseed(0.5)"))
        await connection.execute(keep, values | {"dimensions": DIMENSIONS})
        await connection.execute(_COUNT, {"group": group, "many": many})
    return number


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred are many."""
    monkeypatch.setattr(vector_index, "WORTH", 100)
    monkeypatch.setattr(vector_search, "COMPARED", 100)


@pytest.fixture(autouse=True)
async def dropped(pool: AsyncEngine) -> Any:
    """The database is used again."""
    yield
    async with pool.connect() as connection:
        await vector_index.drop(await connection.execution_options(isolation_level="AUTOCOMMIT"))


@contextmanager
def searches(pool: AsyncEngine) -> Iterator[list[tuple[str, Any]]]:
    """Statements that look for vectors, with their values."""
    found: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if "<#>" in statement:
            found.append((statement, values))

    event.listen(pool.sync_engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(pool.sync_engine, "before_cursor_execute", note)


async def found(pool: AsyncEngine, asker: Asker, asked: Meaning, depth: int = 20) -> dict[int, float]:
    async with asker.transaction(pool) as connection:
        return await by_meaning(connection, asked, asker, depth)


async def indexed(pool: AsyncEngine) -> bool:
    async with pool.connect() as connection:
        return bool((await connection.execute(text(f"SELECT {vector_index.READY}"), {"index": INDEX})).scalar_one())


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
                await house.library.delete(taken.document.id)
            else:
                await house.take("leaked.txt", "Larks sing.", "clerks")
            assert not await making
        assert not await indexed(pool)
    finally:
        async with pool.connect() as connection:
            alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await alone.execute(text("DROP FUNCTION dawdling CASCADE"))


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
        await older.execute(text("SELECT count(*) FROM passage"))  # it could ask for what is deleted now
        await house.library.delete(taken.document.id)
        assert not await sweeping.sweep(pool, attempts=1)
        await older.rollback()
    assert await indexed(pool)
    assert await house.library.sweep()
    assert not await indexed(pool)


async def test_the_index_finds_what_comparing_all_finds(pool: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    await drawn(pool, "clerks", 1500)
    await drawn(pool, "board", 1500)
    compared = [await found(pool, CLERKS, towards(first / 4)) for first in range(-4, 5)]
    assert await vector_index.made(pool, DIMENSIONS)
    with searches(pool) as statements:
        by_index = [await found(pool, CLERKS, towards(first / 4)) for first in range(-4, 5)]
    assert len(statements) == len(compared)  # and none was compared after all
    assert by_index == compared
    monkeypatch.setattr(vector_search, "COMPARED", 10_000)
    assert [await found(pool, CLERKS, towards(first / 4)) for first in range(-4, 5)] == compared


async def test_the_planner_takes_the_index_and_otherwise_reads_the_askers_documents_alone(
    pool: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await drawn(pool, "clerks", 1500)
    await drawn(pool, "board", 1500)
    assert await vector_index.made(pool, DIMENSIONS)
    planned = []
    for compared in (100, 10_000):
        monkeypatch.setattr(vector_search, "COMPARED", compared)
        async with CLERKS.transaction(pool) as connection:
            with searches(pool) as statements:
                await by_meaning(connection, towards(0.5), CLERKS, 20)
            ((statement, values),) = statements
            await connection.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))  # as one asked often has
            rows = (await connection.exec_driver_sql(f"EXPLAIN {statement}", values)).scalars().all()
        planned.append("\n".join(rows))
    assert f"using {INDEX}" in planned[0]
    assert "ix_passage_vector_document" in planned[1]
    assert not [one for one in planned if "Seq Scan on passage_vector" in one]


async def test_what_others_put_all_around_a_question_hides_nothing_from_whom_it_is_for(
    pool: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index gives up after so many vectors; then all are compared."""
    monkeypatch.setattr(vector_search, "_PLAN", vector_search.plan({"hnsw.max_scan_tuples": 300}))
    await drawn(pool, "clerks", 150)
    await drawn(pool, "board", 2000, around=9.0)
    alone = await found(pool, CLERKS, towards(9.0))
    assert await vector_index.made(pool, DIMENSIONS)
    with searches(pool) as statements:
        assert await found(pool, CLERKS, towards(9.0)) == alone
    assert len(alone) == 20
    assert len(statements) == 2


async def test_nobody_is_told_a_passage_of_others_by_the_index(pool: AsyncEngine) -> None:
    clerks, board = await drawn(pool, "clerks", 300), await drawn(pool, "board", 300)
    assert await vector_index.made(pool, DIMENSIONS)
    of = text("SELECT DISTINCT document_id FROM passage_vector WHERE passage_id = ANY(:numbers)")
    for asker, own in (
        (CLERKS, {clerks}),
        (BOARD, {board}),
        (Asker(("strangers",)), set()),
        (Asker(None), {clerks, board}),
    ):
        told = await found(pool, asker, towards(0.5), 50)
        async with keeping(pool) as connection:
            assert set((await connection.execute(of, {"numbers": list(told)})).scalars()) == own


async def test_while_a_model_changes_only_its_own_vectors_are_found(pool: AsyncEngine) -> None:
    await drawn(pool, "clerks", 300)
    async with keeping(pool) as connection:
        await connection.execute(text("UPDATE document SET model = 'sha256:other'"))
    new = await drawn(pool, "clerks", 10)
    assert await vector_index.made(pool, DIMENSIONS)
    told = await found(pool, CLERKS, towards(0.5))
    async with keeping(pool) as connection:
        of = text("SELECT document_id, count(*) FROM passage_vector WHERE passage_id = ANY(:numbers) GROUP BY 1")
        assert (await connection.execute(of, {"numbers": list(told)})).all() == [(new, 10)]


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
