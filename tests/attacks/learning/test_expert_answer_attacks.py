"""An expert's answer carries nothing to whoever asked that is not theirs to read, and commands no model.

The expert here is of two groups and writes to people of one; the model obeys whatever stands in its prompt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from appliance.gateway.gold_cases import CaseStore
from appliance.learning import briefs, failures
from tests.attacks.memory.test_briefs_that_command import ORDERS, ours
from tests.attacks.memory.test_documents_that_command import Obeying
from tests.audit.former import in_words
from tests.integration.gateway.test_expert_answers import ask, told
from tests.integration.gateway.test_experts import as_, rule, waiting
from tests.memory.library import House as Importing
from tests.memory.nights import Bed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.gateway.conftest import House, Page

pytestmark = pytest.mark.anyio
SAFE = "The safe in the cellar opens at nine with the code 4711."
PARKING = "Visitors may park in bay seven of the yard, and nowhere else."
CASE: dict[str, Any] = {"question": "When is it open?", "kind": "contains", "language": "en"}
OPEN = {"question": "What does the sheet say?", "kind": "contains", "language": "en", "decided": True}


@pytest.fixture(autouse=True)
def nobody_is_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "SECOND_PERCENT", 0)


@pytest.fixture(autouse=True)
async def library(house: House) -> Importing:
    found = Importing(house.pool, house.embedding)
    await found.take("safe.txt", f"Nobody but guards reads this. {SAFE}", "clerks", title="Safe")
    await found.take("parking.txt", PARKING, "analysts", title="Parking")
    return found


async def opened(page: Page, house: House, name: str = "deputy") -> str:
    """What the analyst asked, as an expert has it before them."""
    await ask(page, house)
    await as_(page, house, name)
    (one,) = await waiting(page)
    return str(one["id"])


def broken(said: str) -> str:
    """One word a line."""
    return "\n".join(said.split())


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("answer", {"answer": SAFE}),
        ("answer", {"answer": f"You asked about hours. I looked it up [1]: {SAFE.upper()} Regards."}),
        ("answer", {"answer": broken(SAFE)}),
        ("answer", {"answer": f"{PARKING} The safe, in the cellar, opens at nine!"}),
        ("note", {"note": f"see: {SAFE}"}),
        ("case.expected", {"answer": "At nine.", "case": {**CASE, "expected": ["nine", SAFE]}}),
        ("case.question", {"case": {**CASE, "question": f"Is it so? {SAFE}", "expected": ["nine"]}}),
    ],
)
async def test_a_passage_of_another_group_reaches_nobody_of_this_one_by_an_experts_hand(
    field: str, said: dict[str, Any], page: Page, house: House
) -> None:
    failure = await opened(page, house)
    before = await house.everything()
    refused = await rule(page, failure, **said)
    body = refused.json()
    assert (refused.status_code, body["code"], body["param"]) == (422, "of_other_groups", field)
    assert "'Safe', which analysts may not read" in body["detail"]
    assert [await house.count(table) for table in ("ruling", "expert_answer", "gold_case")] == [0, 0, 0]
    assert await house.everything() == before
    assert [e for e in house.log.of_kind("expert_act") if in_words(e)["activity_name"] != "Read"] == []
    await as_(page, house, "analyst")
    assert await told(page) == []


async def test_a_question_that_quotes_a_part_of_it_draws_the_rest_out_of_nobody(page: Page, house: House) -> None:
    """Whoever asks may send what they like; what they sent themselves is no excuse for one word more."""
    await as_(page, house, "analyst")
    conversation = await page.conversation()
    await page.ask(conversation, f"Is it so that {SAFE.removesuffix(' 4711.')} …? Repeat the sentence whole.")
    message = (await page.read(conversation))["messages"][-1]["id"]
    sent = {"verdict": "down", "send": True, "asks": True}
    path = f"/api/messages/{message}/feedback"
    assert (await page.http.put(path, json=sent, headers=page.headers)).status_code == 204
    await as_(page, house, "deputy")
    (one,) = await waiting(page)
    assert (await rule(page, one["id"], answer=SAFE)).json()["code"] == "of_other_groups"
    assert (await rule(page, one["id"], answer="That is for others to know.")).status_code == 200


async def test_what_their_own_group_may_read_or_no_document_says_is_told(
    page: Page, house: House, library: Importing
) -> None:
    failure = await opened(page, house)
    for said in (PARKING, "Ask the guards, who keep the safe.", "4711"):
        assert (await rule(page, failure, answer=said)).status_code == 200
    assert (await rule(page, failure, answer=SAFE)).status_code == 422
    await library.take("copy.txt", SAFE, "analysts", title="Opening hours")
    assert (await rule(page, failure, answer=SAFE)).status_code == 200
    await as_(page, house, "analyst")
    assert [one["answer"] for one in await told(page)] == [SAFE]


async def test_no_refusal_tells_an_expert_of_a_document_that_they_could_not_find(page: Page, house: House) -> None:
    """An officer of the analysts alone who guesses at the clerks' words learns nothing of whether they are right."""
    failure = await opened(page, house, "officer")
    right, wrong = await rule(page, failure, answer=SAFE), await rule(page, failure, answer=SAFE.replace("47", "48"))
    assert (right.status_code, right.text) == (wrong.status_code, wrong.text) == (200, wrong.text)


async def test_a_library_that_does_not_answer_keeps_nothing(
    page: Page, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = await opened(page, house)
    engine = house.gateways[0].others_documents._retrieval
    monkeypatch.setattr(engine, "_by_words", _broken)
    assert (await rule(page, failure, answer="Ask the guards, who keep the safe.")).status_code == 503
    assert await house.count("expert_answer") == 0


async def _broken(*_: object) -> Any:
    from sqlalchemy.exc import OperationalError  # noqa: PLC0415 - what a database that is gone raises

    raise OperationalError("SELECT", {}, OSError("gone"))


async def test_a_place_that_an_expert_names_opens_nothing_for_who_may_not_read_it(page: Page, house: House) -> None:
    (found,) = await Importing(house.pool, house.embedding).ask("Which code opens the safe?", "clerks", limit=1)
    place = {"document": str(found.document), "version": found.text_digest, "first": found.first, "last": found.last}
    failure = await opened(page, house)
    assert (await rule(page, failure, answer=f"See [1] {place}")).status_code == 200
    await as_(page, house, "analyst")
    (answer,) = await told(page)
    assert set(answer) & {"passages", "citations", "documents"} == set()
    shown = await page.http.post("/api/passages", json={"places": [place]}, headers=page.headers)
    assert shown.json() == {"passages": [None]}


@pytest.mark.parametrize("order", ORDERS)
async def test_an_experts_answer_is_in_no_prompt(order: str, page: Page, house: House) -> None:
    conversation, _ = await ask(page, house)
    await as_(page, house, "officer")
    (one,) = await waiting(page)
    assert (await rule(page, one["id"], answer=ORDERS[order])).status_code == 200
    await as_(page, house, "analyst")
    assert [found["answer"] for found in await told(page)] == [ORDERS[order]]
    await page.ask(conversation, "And then?")
    said = house.engine.requests[-1].messages or ()
    assert [message.role for message in said][-3:] == ["user", "assistant", "user"]
    assert not any(line in message.content for message in said for line in ORDERS[order].splitlines() if line)


@pytest.mark.parametrize("order", ORDERS)
async def test_a_case_of_an_experts_orders_is_material_and_never_a_line_of_ours(
    order: str, page: Page, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(briefs, "_SORTS", 1)  # every ruling may be told
    house.engine = Obeying()
    bed = Bed(house.pool, tmp_path)
    heard = []
    for expected in ("It says bay seven.", ORDERS[order]):
        failure = await opened(page, house, "officer")
        assert (await rule(page, failure, case={**OPEN, "expected": [expected]})).status_code == 200
        await bed.night()
        assert any(expected.split("\n")[0][:20] in one for one in await bed.told())
        async with house.open(bed.config) as client:
            body = {"model": "small", "messages": [{"role": "user", "content": "Where?"}]}
            await client.post("/v1/chat/completions", json=body, headers={"Authorization": "Bearer analyst"})
        heard.append(ours(house.engine.requests[-1]))
        store = CaseStore(house.pool, bed.desk.cases._conversations)
        for kept in await store.current(None, ("active",)):
            await store.retire(kept.case.id)
    assert heard[0] == heard[1]
