"""Of many passages, an index finds those that are near: for whom they are, and as well as comparing all does."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text

from appliance.memory import vector_index, vector_search
from appliance.memory.access import Asker, keeping
from appliance.memory.vector_search import Meaning, neighbours
from tests.integration.gateway.drawn_vectors import INDEX, MODEL, drawn
from tests.memory.library import DIMENSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncEngine

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("many_vectors")]
CLERKS, BOARD = Asker(("clerks",)), Asker(("board",))


def towards(first: float) -> Meaning:
    """A question whose vector leans to the first number so much, and to all others alike."""
    return Meaning(f"[{','.join(map(str, [first, *[0.1] * (DIMENSIONS - 1)]))}]", MODEL)


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


async def found(
    pool: AsyncEngine, asker: Asker, asked: Meaning, depth: int = 20, among: int = 1000
) -> dict[int, float]:
    async with neighbours(pool, asked, asker, among, depth) as (_, near):
        return near


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
        with searches(pool) as statements:
            await found(pool, CLERKS, towards(0.5))
        async with neighbours(pool, towards(0.5), CLERKS, 0, 1) as (connection, _):
            ((statement, values),) = statements
            for number, name in enumerate(values, start=1):
                statement = statement.replace(f"%({name})s", f"${number}")
            explain = f"EXPLAIN (GENERIC_PLAN) {statement}"  # as one that is asked often has
            rows = (await connection.exec_driver_sql(explain)).scalars().all()
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
