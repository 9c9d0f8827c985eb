"""The gateway gives documents their vectors by itself, and people's answers come first."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from appliance.cli import document_vectors
from appliance.errors import UnavailableError
from appliance.gateway import later_vectors
from appliance.gateway.later_vectors import LaterVectors
from appliance.gateway.running import Running
from appliance.memory import vector_index
from appliance.memory.vectoring import AT_ONCE, Vectoring
from appliance.memory.vectors import Embedder
from tests.gateway.doubles import site
from tests.memory.library import DIMENSIONS, CountingEngine, House
from tests.memory.stubborn import StubbornEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.ext.asyncio import AsyncEngine

pytestmark = pytest.mark.anyio
QUIET = "What is quiet?"


class Busy(Running):
    """As many answers as a test says."""

    def begin(self) -> None:
        self._idle.clear()

    def end(self) -> None:
        self._idle.set()


@pytest.fixture
def engine() -> StubbornEngine:
    return StubbornEngine()


@pytest.fixture
def house(pool: AsyncEngine, engine: StubbornEngine) -> House:
    return House(pool, engine, later=True)


@pytest.fixture
def running() -> Busy:
    return Busy()


@pytest.fixture
def vectors(pool: AsyncEngine, engine: StubbornEngine, running: Busy) -> LaterVectors:
    config = site(models=[{"name": "small"}, {"name": "large"}, {"name": "minilm"}], documents={"model": "minilm"})
    return LaterVectors(config, pool, {"minilm": engine}, running)


async def test_what_was_taken_in_is_found_by_meaning_without_anybody_asking_for_it(
    house: House, vectors: LaterVectors
) -> None:
    await house.take("birds.txt", "Nightingales sing.", "clerks")
    assert await house.ask(QUIET, "clerks") == ()
    await vectors.make()
    assert [one.title for one in await house.ask(QUIET, "clerks")] == ["birds"]


@pytest.mark.usefixtures("no_index_left")
async def test_the_gateway_makes_the_index_of_many_vectors_once_none_is_missing(
    house: House, vectors: LaterVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_index, "WORTH", 2)
    index = {"index": vector_index.named(DIMENSIONS)}
    there = text(f"SELECT {vector_index.READY}")
    await house.take("birds.txt", "Nightingales sing.", "clerks")
    for made, words in ((False, "Blackbirds sing."), (True, "Larks sing.")):
        await vectors.make()
        async with house.engine.connect() as connection:
            assert (await connection.execute(there, index)).scalar_one() is made
        await house.take(f"{words}.txt", words, "clerks")
        assert len(await house.ask(QUIET, "clerks")) == 1 + made  # the last one has no vector yet


async def test_an_index_that_came_to_nothing_is_tried_again_later(
    vectors: LaterVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    async def put_off(_engine: AsyncEngine, dimensions: int) -> bool:
        tried.append(dimensions)
        return False

    monkeypatch.setattr(vector_index, "WORTH", 0)
    monkeypatch.setattr(vector_index, "made", put_off)
    clock = [0.0]
    monkeypatch.setattr(later_vectors.time, "monotonic", lambda: clock[0])
    at = []
    for minute in range(61):
        clock[0] = 60.0 * minute
        await vectors.make()
        at += [minute] * (len(tried) - len(at))
    assert at == [0, 10, 30]  # ten minutes, twenty, forty


async def test_nothing_is_read_while_somebody_is_being_answered(
    house: House, vectors: LaterVectors, engine: StubbornEngine, running: Busy
) -> None:
    await house.take("birds.txt", "Nightingales sing.", "clerks")
    running.begin()
    making = asyncio.create_task(vectors.make())
    await asyncio.sleep(0.3)
    assert engine.told == []
    running.end()
    await making
    assert engine.told == ["birds\nNightingales sing."]


async def test_a_site_where_somebody_is_always_answered_gets_there_too(
    house: House, vectors: LaterVectors, engine: StubbornEngine, running: Busy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(later_vectors, "PATIENCE_SECONDS", 0.01)
    await house.take("long.md", "\n\n".join(f"# Part {n}\n\nWord{n}." for n in range(20)), "clerks")
    running.begin()
    await vectors.make()
    assert len(engine.told) == 20
    assert max(engine.asked) <= later_vectors.AT_ONCE


async def test_the_next_round_asks_the_model_that_is_there_then(
    house: House, vectors: LaterVectors, engine: StubbornEngine
) -> None:
    await house.take("birds.txt", "Nightingales sing.", "clerks")
    engine.gone_after = 0
    with pytest.raises(UnavailableError):
        await vectors.make()
    engine.gone_after, engine.digest = 9, "sha256:" + "b" * 64
    await vectors.make()
    assert [one.title for one in await house.ask(QUIET, "clerks")] == ["birds"]


async def test_who_brings_a_document_is_waited_for_no_longer(vectors: LaterVectors) -> None:
    waiting = asyncio.create_task(vectors.wait(600))
    await asyncio.sleep(0)
    vectors.due()
    await asyncio.wait_for(waiting, 5)
    await vectors.make()
    waiting = asyncio.create_task(vectors.wait(600))
    await asyncio.sleep(0.05)
    assert not waiting.done()  # what was brought before is done
    vectors.due()
    await waiting


async def test_the_command_has_its_turn_beside_whoever_else_makes_vectors_and_tells_how_far_it_is(
    house: House, pool: AsyncEngine, engine: StubbornEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.take("long.md", "\n\n".join(f"# Part {n}\n\nWord{n}." for n in range(40)), "clerks")
    told: list[tuple[int, int]] = []

    @contextmanager
    def counting(_label: str, **_: str) -> Iterator[Callable[[int, int], None]]:
        yield lambda done, total: told.append((done, total))

    monkeypatch.setattr(document_vectors, "progress", counting)
    mine = Vectoring(pool, Embedder(engine, "somebody"))
    async with Vectoring(pool, Embedder(engine, "site"))._alone() as alone:
        assert alone
        following = asyncio.create_task(document_vectors.followed(mine))
        await asyncio.sleep(0.5)
        assert (engine.told, set(told)) == ([], {(0, 40)})
    await following
    assert told[-2:] == [(AT_ONCE, 40), (40, 40)]
    assert len(engine.told) == 40


async def test_command_and_gateway_take_turns(
    house: House, pool: AsyncEngine, engine: StubbornEngine, vectors: LaterVectors
) -> None:
    await house.take("long.md", "\n\n".join(f"# Part {n}\n\nWord{n}." for n in range(400)), "clerks")

    async def reading() -> None:
        await asyncio.sleep(0.1)

    engine.before = reading
    gateway = asyncio.create_task(vectors.make())
    await asyncio.sleep(0.3)
    before = len(engine.told)
    own = CountingEngine()
    await asyncio.wait_for(document_vectors.followed(Vectoring(pool, Embedder(own, "somebody"))), 30)
    await gateway
    assert before < 60
    assert len(own.told) > 200  # it did not watch the other do it


async def test_a_site_without_a_model_for_documents_has_nothing_to_make(pool: AsyncEngine, running: Busy) -> None:
    await LaterVectors(site(), pool, {}, running).make()
