"""Texts that the embedding model cannot read as they are, and engines that answer with something else than vectors."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from appliance.engine.client import ModelInfo
from appliance.engine.errors import EngineRefusedError, EngineUnavailableError
from appliance.engine.protocol import Admitted, Vectors
from appliance.errors import UnavailableError
from appliance.gateway.later_vectors import LaterVectors
from appliance.gateway.running import Running
from appliance.memory.access import keeping
from appliance.memory.vectoring import Awaiting, Vectoring, middle
from appliance.memory.vectors import Embedder, written
from tests.gateway.doubles import site
from tests.memory.library import DIMENSIONS, CountingEngine, House, counted, given
from tests.memory.stubborn import StubbornEngine

if TYPE_CHECKING:
    import uuid
    from collections.abc import AsyncGenerator

    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.engine.protocol import Event, Request

pytestmark = pytest.mark.anyio
ONE = counted("a word")
NAN = b"\x00\x00\xc0\x7f" * DIMENSIONS
LIES: dict[str, Any] = {
    "too few vectors": (),
    "too many vectors": (ONE, ONE, ONE),
    "a shorter one": (ONE, ONE[:-4]),
    "a longer one": (ONE, ONE + ONE),
    "no number": (ONE, NAN),
    "of a text that nobody sent": EngineRefusedError(
        "context_length_exceeded", "text 2 has 9 tokens, and the model takes 8"
    ),
    "of a text beyond every number": EngineRefusedError(
        "context_length_exceeded", f"text {'9' * 5000} has 9 tokens, and the model takes 8"
    ),
    "that it refuses": EngineRefusedError("request_too_large", "no"),
    "that it could not finish": EngineUnavailableError("the engine could not finish the request"),
}


@dataclass
class LyingEngine(CountingEngine):
    """Answers what a test says, of texts in which ``about`` stands; others as it should."""

    lie: Any = ()
    about: str = ""

    async def generate(self, request: Request) -> AsyncGenerator[Event, None]:
        texts = request.inputs or ()
        if not any(self.about in one for one in texts):
            async for event in super().generate(request):
                yield event
            return
        if isinstance(self.lie, Exception):
            raise self.lie
        yield Admitted(0, 1, 0)
        yield Vectors(self.lie)


@pytest.fixture
def engine() -> StubbornEngine:
    return StubbornEngine()


@pytest.fixture
def house(pool: AsyncEngine, engine: StubbornEngine) -> House:
    return House(pool, engine, later=True)


@pytest.fixture
def vectoring(pool: AsyncEngine, engine: StubbornEngine) -> Vectoring:
    return Vectoring(pool, Embedder(engine, "somebody", attempts=1), at_once=4)


async def vectors(pool: AsyncEngine, document: uuid.UUID) -> list[str]:
    query = text("SELECT embedding::text FROM passage_vector WHERE document_id = :id ORDER BY passage_id")
    async with keeping(pool) as connection:
        return [str(one) for one in (await connection.execute(query, {"id": document})).scalars()]


async def test_a_passage_that_is_longer_than_the_model_reads_gets_the_middle_of_its_parts(
    house: House, engine: StubbornEngine, vectoring: Vectoring, pool: AsyncEngine
) -> None:
    engine.bound = 30
    said = "One sentence has seven words in it. "
    taken = await house.take("a.txt", said * 20, "clerks")
    assert taken.document is not None
    assert await given(vectoring) == "done"
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
    assert await given(vectoring) == "done"
    assert await vectors(pool, taken.document.id) == [f"[{','.join(['0'] * DIMENSIONS)}]"]
    assert [one.title for one in await house.ask("q", "clerks")] == ["x"]


async def test_what_was_computed_is_not_asked_again_for_a_part_that_is_too_long(
    house: House, engine: StubbornEngine, pool: AsyncEngine
) -> None:
    engine.bound = 16
    await house.take("a.md", "\n\n".join(f"# {n}\n\n" + "a b c d e f g h i j " * 2 for n in range(64)), "clerks")
    assert await given(Vectoring(pool, Embedder(engine, "somebody"), at_once=16)) == "done"
    parts = 2 * 64
    assert len(engine.answered) == parts
    assert max(engine.asked) <= 16


@pytest.mark.parametrize("lie", LIES)
async def test_what_is_no_vector_for_each_text_is_kept_nowhere_and_others_get_theirs(
    pool: AsyncEngine, lie: str
) -> None:
    engine = LyingEngine(lie=LIES[lie], about="Owl")
    house = House(pool, engine, later=True)
    lied = (await house.take("a.md", "# Owls\n\nOwl one.\n\n# More\n\nOwl two.", "clerks")).document
    await house.take("b.md", "# Larks\n\nThey sing.\n\n# Wrens\n\nThey too.\n\n# Finches\n\nAll.", "clerks")
    assert lied is not None
    round_of = Vectoring(pool, Embedder(engine, "somebody", attempts=1))
    assert await given(round_of) == "done"
    assert set(round_of.unread) == {lied.id}
    assert await vectors(pool, lied.id) == []
    assert await round_of.awaiting() == Awaiting(1, 2)
    assert [one.title for one in await house.ask("What is quiet?", "clerks", limit=1)] == ["Larks"]
    engine.about = "nothing of this"
    assert await given(Vectoring(pool, Embedder(engine, "somebody"))) == "done"
    assert await round_of.awaiting() == Awaiting(0, 0)


@pytest.mark.parametrize("said", ["no digest", "no dimensions", "too many dimensions", "another role"])
async def test_an_engine_that_says_no_model_for_documents_is_asked_for_nothing(house: House, said: str) -> None:
    class Strange(CountingEngine):
        async def model(self) -> ModelInfo:
            told = await super().model()
            receipt = {} if said == "no digest" else told.receipt
            record = told.record | ({"role": "chat"} if said == "another role" else {})
            many = {"no dimensions": None, "too many dimensions": 2**31 - 1}.get(said, DIMENSIONS)
            return ModelInfo(record, receipt, 512, {}, many)

    await house.take("a.txt", "Nightingales sing.", "clerks")
    strange = Strange()
    with pytest.raises(UnavailableError):
        await Vectoring(house.engine, Embedder(strange, "somebody")).some()
    assert strange.told == []


@pytest.mark.parametrize("lie", LIES)
async def test_the_gateway_says_so_and_goes_on(pool: AsyncEngine, lie: str) -> None:
    engine = LyingEngine(lie=LIES[lie], about="Owl")
    await House(pool, engine, later=True).take("a.md", "# Owls\n\nOwl one.\n\n# More\n\nOwl two.", "clerks")
    config = site(models=[{"name": "small"}, {"name": "large"}, {"name": "minilm"}], documents={"model": "minilm"})
    with pytest.raises(UnavailableError):  # which its upkeep counts, and tries again
        await LaterVectors(config, pool, {"minilm": engine}, Running()).make()


async def test_a_document_at_which_the_engine_goes_away_comes_last_and_then_no_more(pool: AsyncEngine) -> None:
    class Fragile(CountingEngine):
        down = False

        async def model(self) -> ModelInfo:
            if self.down:
                self.down = False  # it is started again
                raise EngineUnavailableError("the engine is gone")
            return await super().model()

        async def generate(self, request: Request) -> AsyncGenerator[Event, None]:
            if any("Owl" in one for one in request.inputs or ()):
                self.asked.append(0)
                self.down = True
                raise EngineUnavailableError("the engine is gone")
            async for event in super().generate(request):
                yield event

    engine = Fragile()
    house = House(pool, engine, later=True)
    await house.take("a.txt", "Owl one.", "clerks")
    await house.take("b.md", "# Larks\n\nThey sing.\n\n# Wrens\n\nThey too.", "clerks")
    config = site(models=[{"name": "small"}, {"name": "large"}, {"name": "minilm"}], documents={"model": "minilm"})
    later = LaterVectors(config, pool, {"minilm": engine}, Running())
    for _ in range(3):
        with pytest.raises(UnavailableError):
            await later.make()
    assert engine.asked == [0, 2, 0, 0]
    await later.make()
    assert engine.asked == [0, 2, 0, 0]  # it is left
    assert later.given_up == 1
    await house.take("a.txt", "No such bird.", "clerks")
    await given(Vectoring(pool, Embedder(engine, "somebody")))
    await later.make()
    assert later.given_up == 0


async def test_a_model_that_reads_nothing_at_all_gives_no_zeros(pool: AsyncEngine) -> None:
    engine = CountingEngine(bound=0)
    house = House(pool, engine, later=True)
    taken = (await house.take("a.txt", "Owls.", "clerks")).document
    assert taken is not None
    round_of = Vectoring(pool, Embedder(engine, "somebody"))
    assert await given(round_of) == "done"
    assert set(round_of.unread) == {taken.id}
    assert await vectors(pool, taken.id) == []


async def test_no_answer_is_under_way_where_none_was_added_and_once_all_are_done() -> None:
    @dataclass
    class Answering:
        task: asyncio.Task[None]

    running, ends = Running(), [asyncio.Event(), asyncio.Event()]
    await asyncio.wait_for(running.idle(), 1)
    for end in ends:
        running.add(Answering(asyncio.create_task(_until(end))))  # type: ignore[arg-type]  # its task is all that is asked
    waiting = asyncio.create_task(running.idle())
    ends[0].set()
    await asyncio.sleep(0.05)
    assert not waiting.done()
    ends[1].set()
    await asyncio.wait_for(waiting, 1)


async def _until(event: asyncio.Event) -> None:
    await event.wait()


def test_the_middle_of_one_is_itself_and_of_opposites_no_fault() -> None:
    one = written(counted("a word"))
    assert middle([one]) == one
    assert middle(["[1,0]", "[0,1]"]) == "[0.70711,0.70711]"
    assert middle(["[1,0]", "[-1,0]"]) == "[0,0]"
