"""Vectors follow documents: words find at once, meaning as soon as may be, whatever happens on the way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from appliance.errors import UnavailableError
from appliance.memory.access import keeping
from appliance.memory.vectoring import Awaiting, Vectoring, middle
from appliance.memory.vectors import Embedder, written
from tests.memory.library import DIMENSIONS, CountingEngine, House, counted
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
    assert await vectoring.make()
    assert await vectoring.awaiting() == Awaiting(0, 0)
    assert [one.title for one in await house.ask(QUIET, "clerks")] == ["birds"]


async def test_after_a_change_of_the_model_vectors_are_made_anew_from_what_the_library_holds(
    house: House, engine: StubbornEngine, vectoring: Vectoring, pool: AsyncEngine
) -> None:
    taken = await house.take("birds.md", book("bird", 9), "clerks")
    await vectoring.make()
    assert taken.document is not None
    before = await vectors(pool, taken.document.id)
    engine.digest = OTHER
    anew = Vectoring(pool, Embedder(engine, "somebody"))
    assert await anew.awaiting() == Awaiting(1, 9)
    assert await house.ask(QUIET, "clerks") == ()  # vectors of another model are not compared
    engine.told = []
    assert await anew.make()
    assert len(engine.told) == 9
    assert await vectors(pool, taken.document.id) == before
    assert {one.title for one in await house.ask(QUIET, "clerks")} == {"bird 0"}
    assert (await house.take("birds.md", book("bird", 9), "clerks")).outcome == "unchanged"


async def test_an_engine_that_goes_away_costs_what_it_was_reading_and_nothing_before(
    house: House, engine: StubbornEngine, vectoring: Vectoring, pool: AsyncEngine
) -> None:
    taken = await house.take("long.md", book("part", 13), "clerks")
    engine.lasts = 2
    with pytest.raises(UnavailableError):
        await vectoring.make()
    assert await vectoring.awaiting() == Awaiting(1, 5)
    engine.lasts = 1000
    assert await vectoring.make()
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
    assert await vectoring.make()
    assert acts == []
    assert await vectors(pool, first.document.id) == await _read_back(pool, counted("a\nLarks sing."))
    assert await vectors(pool, gone.document.id) == []
    assert await vectoring.awaiting() == Awaiting(0, 0)


async def test_no_vector_of_a_former_model_comes_in_under_the_name_of_the_one_that_follows(
    house: House, engine: StubbornEngine, vectoring: Vectoring, pool: AsyncEngine
) -> None:
    await house.take("a.txt", "Nightingales sing.", "clerks")
    following = Vectoring(pool, Embedder(CountingEngine(digest=OTHER), "somebody"))

    async def meanwhile() -> None:
        engine.before = None
        assert await following._next(OTHER, []) is not None  # as after a restart, the lock gone with its connection

    engine.before = meanwhile
    engine.says = written_other = counted("of the former model")
    await vectoring._given(await _next(vectoring), engine.digest, [])
    assert await following.awaiting() == Awaiting(1, 1)
    async with keeping(pool) as connection:
        kept = (await connection.execute(text("SELECT count(*) FROM passage_vector"))).scalar_one()
    assert (kept, written_other) == (0, engine.says)


async def test_one_makes_vectors_at_a_time_and_the_other_is_told(
    house: House, engine: StubbornEngine, vectoring: Vectoring
) -> None:
    await house.take("a.md", book("part", 9), "clerks")
    other: list[bool] = []

    async def meanwhile() -> None:
        other.append(await vectoring.make())

    engine.before = meanwhile
    assert await vectoring.make()
    assert other == [False, False, False]
    assert len(engine.told) == 9
    assert await vectoring.make()


async def test_a_page_waits_for_no_book(house: House, engine: StubbornEngine, vectoring: Vectoring) -> None:
    await house.take("book.md", book("part", 21), "clerks")
    brought = False

    async def meanwhile() -> None:
        nonlocal brought
        if not brought:
            brought = True
            await house.take("page.txt", "Larks sing.", "clerks")

    engine.before = meanwhile
    assert await vectoring.make()
    assert engine.told.index("page\nLarks sing.") == 4


async def test_a_passage_that_is_longer_than_the_model_reads_gets_the_middle_of_its_parts(
    house: House, engine: StubbornEngine, vectoring: Vectoring, pool: AsyncEngine
) -> None:
    engine.bound = 30
    said = "One sentence has seven words in it. "
    taken = await house.take("a.txt", said * 20, "clerks")
    assert taken.document is not None
    assert await vectoring.make()
    assert max(len(one.split()) for one in engine.told[-4:]) <= 30
    (found,) = await house.ask("sentence", "clerks")
    assert found.body == " ".join([said.strip()] * 20)
    assert found.cosine is not None
    (kept,) = await vectors(pool, taken.document.id)
    assert sum(float(one) ** 2 for one in kept[1:-1].split(",")) == pytest.approx(1, abs=0.01)


async def test_a_letter_that_the_model_cannot_read_stops_nobody(
    house: House, engine: StubbornEngine, vectoring: Vectoring, pool: AsyncEngine
) -> None:
    engine.bound = 1
    taken = await house.take("x.txt", "Q", "clerks")  # with its title before it, two words
    assert taken.document is not None
    assert await vectoring.make()
    assert await vectors(pool, taken.document.id) == [f"[{','.join(['0'] * DIMENSIONS)}]"]
    assert [one.title for one in await house.ask("q", "clerks")] == ["x"]


async def test_an_answer_that_holds_no_vectors_is_kept_nowhere(
    house: House, engine: StubbornEngine, vectoring: Vectoring
) -> None:
    await house.take("a.txt", "Nightingales sing.", "clerks")
    engine.says = b"\x00\x00\xc0\x7f" * DIMENSIONS  # not a number
    with pytest.raises(UnavailableError, match="no vectors"):
        await vectoring.make()
    assert await vectoring.awaiting() == Awaiting(1, 1)
    engine.says = None
    assert await vectoring.make()


async def test_a_refused_document_waits_for_nothing(house: House, vectoring: Vectoring) -> None:
    await house.take("a.md", b"\xff\xfe\x00\xd8" * 99, "clerks")
    assert await vectoring.awaiting() == Awaiting(0, 0)


def test_the_middle_of_one_is_itself_and_of_opposites_no_fault() -> None:
    one = written(counted("a word"))
    assert middle([one]) == one
    assert middle(["[1,0]", "[0,1]"]) == "[0.70711,0.70711]"
    assert middle(["[1,0]", "[-1,0]"]) == "[0,0]"


async def _next(vectoring: Vectoring) -> object:
    return await vectoring._next(await vectoring._embedder.model(), [])


async def _read_back(pool: AsyncEngine, vector: bytes) -> list[str]:
    """As the database spells it."""
    async with keeping(pool) as connection:
        query = text("SELECT CAST(:v AS halfvec)::text")
        return [str((await connection.execute(query, {"v": written(vector)})).scalar_one())]
