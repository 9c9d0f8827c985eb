"""Vectors follow documents: words find at once, meaning as soon as may be, whatever happens on the way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from appliance.errors import UnavailableError
from appliance.memory.access import keeping
from appliance.memory.store import _forget
from appliance.memory.vectoring import Awaiting, Vectoring
from appliance.memory.vectors import Embedder, written
from tests.memory.library import CountingEngine, House, counted, given
from tests.memory.stubborn import StubbornEngine

if TYPE_CHECKING:
    import uuid
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncEngine

pytestmark = pytest.mark.anyio
OTHER = "sha256:" + "b" * 64
QUIET = "What is quiet?"
"""Of whose words no document here has any: only meaning finds an answer to it."""


@pytest.fixture
def engine() -> StubbornEngine:
    return StubbornEngine()


@pytest.fixture
def house(pool: AsyncEngine, engine: StubbornEngine) -> House:
    return House(pool, engine, later=True)


@pytest.fixture
def vectoring(pool: AsyncEngine, engine: StubbornEngine) -> Vectoring:
    return Vectoring(pool, Embedder(engine, "somebody", attempts=1), at_once=4)


def book(name: str, chapters: int) -> str:
    """A text of so many passages."""
    return "\n\n".join(f"# {name} {n}\n\n" + f"{name}{n} follows. " * 20 for n in range(chapters))


async def vectors(pool: AsyncEngine, document: uuid.UUID) -> list[str]:
    """Of a document's passages, in their order."""
    query = text(
        "SELECT v.embedding::text FROM passage AS p JOIN passage_vector AS v ON v.passage_id = p.id "
        "WHERE p.document_id = :id ORDER BY p.ordinal"
    )
    async with keeping(pool) as connection:
        return [str(one) for one in (await connection.execute(query, {"id": document})).scalars()]


async def test_words_find_a_document_at_once_and_meaning_as_soon_as_it_has_vectors(
    house: House, vectoring: Vectoring
) -> None:
    await house.take("birds.txt", "Nightingales sing.", "clerks")
    assert [one.title for one in await house.ask("Do nightingales sing?", "clerks")] == ["birds"]
    assert await house.ask(QUIET, "clerks") == ()
    assert await vectoring.awaiting() == Awaiting(1, 1)
    assert await given(vectoring) == "done"
    assert await vectoring.awaiting() == Awaiting(0, 0)
    assert [one.title for one in await house.ask(QUIET, "clerks")] == ["birds"]


async def test_after_a_change_of_the_model_vectors_are_made_anew_from_what_the_library_holds(
    house: House, engine: StubbornEngine, vectoring: Vectoring, pool: AsyncEngine
) -> None:
    taken = await house.take("birds.md", book("bird", 9), "clerks")
    await given(vectoring)
    assert taken.document is not None
    before = await vectors(pool, taken.document.id)
    engine.digest = OTHER
    anew = Vectoring(pool, Embedder(engine, "somebody"))
    assert await anew.awaiting() == Awaiting(1, 9)
    assert await house.ask(QUIET, "clerks") == ()  # vectors of another model are not compared
    engine.told = []
    assert await given(anew) == "done"
    assert len(engine.told) == 9
    assert await vectors(pool, taken.document.id) == before
    assert {one.title for one in await house.ask(QUIET, "clerks")} == {"bird 0"}
    assert (await house.take("birds.md", book("bird", 9), "clerks")).outcome == "unchanged"


async def test_an_engine_that_goes_away_costs_what_it_was_reading_and_nothing_before(
    house: House, engine: StubbornEngine, vectoring: Vectoring, pool: AsyncEngine
) -> None:
    taken = await house.take("long.md", book("part", 13), "clerks")
    engine.gone_after = 2
    with pytest.raises(UnavailableError):
        await given(vectoring)
    engine.gone_after = 1000
    vectoring = Vectoring(pool, Embedder(engine, "somebody"), at_once=4)
    assert await vectoring.awaiting() == Awaiting(1, 5)
    assert await given(vectoring) == "done"
    assert len(engine.told) == 13
    assert len(await house.ask(QUIET, "clerks", limit=50)) == 13
    assert taken.document is not None
    assert len(await vectors(pool, taken.document.id)) == 13


async def test_what_is_replaced_or_deleted_meanwhile_gets_no_vectors_of_what_it_said(
    house: House, engine: StubbornEngine, vectoring: Vectoring, pool: AsyncEngine
) -> None:
    first = await house.take("a.txt", "Nightingales sing.", "clerks")
    gone = await house.take("b.txt", "Owls never do that.", "clerks")
    assert first.document is not None
    assert gone.document is not None
    acts: list[Callable[[], Awaitable[object]]] = [
        lambda: house.take("a.txt", "Larks sing.", "clerks"),
        lambda: house.library.delete(gone.document.id) if gone.document else asyncio.sleep(0),
    ]

    async def meanwhile() -> None:
        if acts:
            await acts.pop(0)()

    engine.before = meanwhile
    assert await given(vectoring) == "done"
    assert acts == []
    assert await vectors(pool, first.document.id) == await _read_back(pool, counted("a\nLarks sing."))
    assert await vectors(pool, gone.document.id) == []
    assert await vectoring.awaiting() == Awaiting(0, 0)


async def test_no_vector_of_a_former_model_comes_in_under_the_name_of_the_one_that_follows(
    house: House, engine: StubbornEngine, vectoring: Vectoring, pool: AsyncEngine
) -> None:
    taken = await house.take("a.txt", "Nightingales sing.", "clerks")
    following = Vectoring(pool, Embedder(CountingEngine(digest=OTHER), "somebody"))

    async def meanwhile() -> None:
        engine.before = None
        assert await following._next(OTHER) is not None  # as where the lock went with its connection

    engine.before = meanwhile
    assert await vectoring.some() == "made"
    assert taken.document is not None
    assert "another model's" in vectoring.unread[taken.document.id]
    assert await following.awaiting() == Awaiting(1, 1)
    assert taken.document is not None
    assert await vectors(pool, taken.document.id) == []


async def test_one_makes_vectors_at_a_time_and_each_has_a_turn(
    house: House, engine: StubbornEngine, vectoring: Vectoring, pool: AsyncEngine
) -> None:
    await house.take("a.md", book("part", 9), "clerks")
    other = Vectoring(pool, Embedder(CountingEngine(), "somebody"), at_once=4)
    found: list[str] = []

    async def meanwhile() -> None:
        found.append(await other.some())

    engine.before = meanwhile
    assert await vectoring.some() == "made"
    assert await other.some() == "made"
    assert await given(vectoring) == "done"
    assert (found, engine.asked) == (["busy", "busy"], [4, 1])


@pytest.mark.parametrize("act", ["replaced", "deleted"])
async def test_whoever_changes_a_document_and_whoever_gives_it_vectors_never_wait_for_each_other(
    house: House, vectoring: Vectoring, pool: AsyncEngine, act: str
) -> None:
    taken = await house.take("a.md", book("part", 9), "clerks")
    assert taken.document is not None
    changed = "DELETE FROM document" if act == "deleted" else "UPDATE document SET model = NULL"
    async with keeping(pool) as connection:
        await _forget(connection, taken.document.id)
        giving = asyncio.create_task(vectoring.some())
        await asyncio.sleep(0.5)  # it waits for the row by now
        await connection.execute(text(f"{changed} WHERE id = :id"), {"id": taken.document.id})
    assert await giving == "made"
    assert await vectors(pool, taken.document.id) == []


async def test_a_page_waits_for_no_book(house: House, engine: StubbornEngine, vectoring: Vectoring) -> None:
    await house.take("book.md", book("part", 21), "clerks")
    brought = False

    async def meanwhile() -> None:
        nonlocal brought
        if not brought:
            brought = True
            await house.take("page.txt", "Larks sing.", "clerks")

    engine.before = meanwhile
    assert await given(vectoring) == "done"
    assert engine.told.index("page\nLarks sing.") == 4


async def test_only_what_was_named_is_given_vectors_where_something_was(
    house: House, engine: StubbornEngine, pool: AsyncEngine
) -> None:
    await house.take("a.txt", "Nightingales sing.", "clerks")
    named = (await house.take("b.txt", "Larks sing.", "clerks")).document
    assert named is not None
    only = Vectoring(pool, Embedder(engine, "somebody"), only=[named.id])
    assert await only.awaiting() == Awaiting(1, 1)
    assert await given(only) == "done"
    assert engine.told == ["b\nLarks sing."]


async def test_a_refused_document_waits_for_nothing(house: House, vectoring: Vectoring) -> None:
    await house.take("a.md", b"\xff\xfe\x00\xd8" * 99, "clerks")
    assert await vectoring.awaiting() == Awaiting(0, 0)


async def _read_back(pool: AsyncEngine, vector: bytes) -> list[str]:
    """As the database spells it."""
    async with keeping(pool) as connection:
        query = text("SELECT CAST(:v AS halfvec)::text")
        return [str((await connection.execute(query, {"v": written(vector)})).scalar_one())]
