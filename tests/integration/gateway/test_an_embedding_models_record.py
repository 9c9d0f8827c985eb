"""What an embedding model's record says of it, and what its site has it count: from the import to the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from appliance.gateway.documents import Documents
from appliance.gateway.looking import DEFAULT
from appliance.memory.fitting import NEAR, fitting
from appliance.memory.nearness import nearness
from tests.integration.gateway.test_answers_from_documents import chat, housed
from tests.memory.library import CountingEngine
from tests.memory.library import House as Importing

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.integration.gateway.conftest import House

pytestmark = pytest.mark.anyio
PROMPTS = {"query": "query: ", "document": "passage: "}
PARKING = "Visitors may park in bay seven. A visit lasts at most ninety minutes."
QUESTION = "Where is it that they do all of this with them and for us, visitors?"
WORDS_ALONE = "Visitors: " + ", ".join(f"rule{number} holds" for number in range(40))
NEAR_BY = "Where is it that they do all of this with them and for us? Number {}."


async def test_passages_and_questions_are_read_behind_what_the_record_says(pool: AsyncEngine) -> None:
    engine = CountingEngine(record={"prompts": PROMPTS})
    house = Importing(pool, engine)
    await house.take("parking.txt", PARKING, "analysts")
    (imported,) = engine.told
    found = await house.ask("Where do visitors park?", "analysts")
    assert imported.startswith("passage: ")
    assert engine.told[1:] == ["query: Where do visitors park?"]
    assert found[0].body == PARKING, "what stands before it is no part of the passage"
    assert found[0].cosine is not None


async def test_vectors_of_before_the_record_said_so_are_not_compared_and_the_next_import_makes_them_anew(
    pool: AsyncEngine,
) -> None:
    before = Importing(pool, CountingEngine())
    await before.take("parking.txt", PARKING, "analysts")
    now = Importing(pool, CountingEngine(record={"prompts": PROMPTS}))
    (found,) = await now.ask("Where do visitors park?", "analysts")
    assert found.cosine is None, "it is found by words"
    await now.take("parking.txt", PARKING, "analysts")
    (found,) = await now.ask("Where do visitors park?", "analysts")
    assert found.cosine is not None


async def test_what_is_no_nearer_than_unrelated_texts_are_does_not_fit(pool: AsyncEngine) -> None:
    await Importing(pool, CountingEngine()).take("parking.txt", PARKING, "analysts")
    question = "Which is in a bay at most?"

    async def nearest(unrelated: int | None) -> Any:
        engine = CountingEngine(record={"unrelated_percent": unrelated})
        (found,) = await Importing(pool, engine).ask(question, "analysts")
        return found

    plain, raised = await nearest(None), await nearest(50)
    assert plain.cosine >= NEAR
    assert raised.cosine == pytest.approx(nearness(plain.cosine, 50))
    assert (len(fitting("x", [plain])), len(fitting("x", [raised]))) == (1, 0)


async def test_confidence_that_was_measured_on_another_scale_holds_no_more(pool: AsyncEngine) -> None:
    async def setting(**record: Any) -> Any:
        found = Documents(housed(), pool, {"minilm": CountingEngine(record=record)})
        return await found.looked_up_by(DEFAULT)

    before = {"model": CountingEngine().digest, **DEFAULT.told()}
    assert await setting() == before, "as it was before records said anything of it"
    assert await setting(unrelated_percent=81) == before | {"unrelated": 81}
    assert (await setting(prompts=PROMPTS))["model"].startswith(f"{before['model']} prompts ")


@pytest.mark.parametrize(("meaning", "first"), [(0.1, "Rules"), (10.0, "Near 1")])
async def test_a_site_says_what_meaning_counts_beside_words(house: House, meaning: float, first: str) -> None:
    library = Importing(house.pool, house.embedding)
    await library.take("rules.txt", WORDS_ALONE, "analysts", title="Rules")
    for number in range(1, 10):
        await library.take(f"{number}.txt", NEAR_BY.format(number), "analysts", title=f"Near {number}")
    house.engine.words = ("It is so [1].",)
    async with house.open(housed(meaning=meaning, passages=1)) as client:
        body = (await chat(client, QUESTION)).json()
    assert [one["title"] for one in body["sovereign"]["citations"]["passages"]] == [first]
