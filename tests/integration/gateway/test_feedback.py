"""What people say of an answer is theirs: kept sealed, counted in the log without a word of it, and taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from appliance.gateway.conversations import ConversationStore
from appliance.gateway.people import People
from appliance.gateway.pseudonyms import subject_of
from appliance.gateway.rate_bound import BURST, RateBound
from tests.audit.former import in_words
from tests.integration.gateway.conftest import KEYS

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.anyio
SAID = {
    "verdict": "down",
    "reasons": ["wrong", "incomplete"],
    "reason": "marmalade is wrong",
    "correction": "quince is what it should have said",
    "send": True,
}


async def put(page: Any, message: str, **body: Any) -> httpx.Response:
    answer: httpx.Response = await page.http.put(f"/api/messages/{message}/feedback", json=body, headers=page.headers)
    return answer


async def take_back(page: Any, message: str) -> int:
    answer: httpx.Response = await page.http.delete(f"/api/messages/{message}/feedback", headers=page.headers)
    return answer.status_code


async def answered(page: Any, question: str = "how is marmalade made?") -> tuple[str, str]:
    """A conversation with one answer: ids of both."""
    conversation = await page.conversation()
    await page.ask(conversation, question)
    return conversation, (await page.read(conversation))["messages"][-1]["id"]


async def kept(page: Any, conversation: str) -> Any:
    return (await page.read(conversation))["messages"][-1].get("feedback")


def subject(name: str) -> Any:
    return subject_of(f"sub-{name}", KEYS.pseudonym)


async def test_everything_said_comes_back_to_whoever_said_it(page: Any) -> None:
    conversation, message = await answered(page)
    assert (await put(page, message, **SAID)).status_code == 204
    assert await kept(page, conversation) == {
        **SAID,
        "reasons": ["incomplete", "wrong"],
        "group": "analysts",
        "asks": False,
    }


async def test_the_log_counts_it_and_holds_no_word_of_it(page: Any, house: Any) -> None:
    _, message = await answered(page)
    await put(page, message, **SAID)
    (entry,) = house.log.of_kind("feedback")
    said = {"verdict": "down", "reasons": ["incomplete", "wrong"], "corrected": True}
    ours = {"kind": "feedback", **said, "sent": True, "sent_to": "analysts"}
    assert entry["unmapped"]["sovereign"] == ours
    assert not {"marmalade", "quince", message} & set(str(entry).replace("'", " ").split())


async def test_saying_the_same_twice_is_one_act_and_changing_it_another(page: Any, house: Any) -> None:
    _, message = await answered(page)
    for _ in range(3):
        await put(page, message, **SAID)
    await put(page, message, verdict="up")
    assert [in_words(entry)["activity_name"] for entry in house.log.of_kind("feedback")] == ["Create", "Update"]
    assert [await house.count(table) for table in ("feedback", "failure")] == [1, 0]


async def test_taking_it_back_leaves_nothing_and_is_possible_twice(page: Any, house: Any) -> None:
    conversation, message = await answered(page)
    await put(page, message, **SAID)
    assert [await take_back(page, message) for _ in range(2)] == [204, 204]
    assert await kept(page, conversation) is None
    assert [await house.count(table) for table in ("feedback", "failure")] == [0, 0]
    assert [in_words(entry)["activity_name"] for entry in house.log.of_kind("feedback")] == ["Create", "Delete"]


async def test_without_an_entry_nothing_is_kept_and_nothing_is_forgotten(page: Any, house: Any) -> None:
    conversation, message = await answered(page)
    house.log.refuse_kinds = frozenset({"feedback"})
    assert (await put(page, message, **SAID)).status_code == 503
    assert await kept(page, conversation) is None
    house.log.refuse_kinds = frozenset()
    await put(page, message, verdict="down")
    house.log.refuse_kinds = frozenset({"feedback"})
    assert await take_back(page, message) == 503
    assert (await kept(page, conversation))["verdict"] == "down"


async def test_nothing_is_sent_to_experts_unless_the_person_says_so(page: Any, house: Any) -> None:
    _, message = await answered(page)
    await put(page, message, **{**SAID, "send": False})
    assert await house.count("failure") == 0
    await put(page, message, **SAID)
    assert await house.count("failure") == 1


async def test_what_was_sent_outlives_another_answer_and_goes_with_the_conversation(page: Any, house: Any) -> None:
    conversation, message = await answered(page)
    await put(page, message, **SAID)
    path = f"/api/conversations/{conversation}"
    await page.http.post(f"{path}/messages/{message}/retry", headers=page.headers)
    assert [await house.count(table) for table in ("feedback", "failure")] == [0, 1]
    await page.http.delete(path, headers=page.headers)
    assert await house.count("failure") == 0


@pytest.mark.parametrize(
    "body",
    [
        {"verdict": "up", "send": True},
        {"verdict": "down", "reasons": ["bad"]},
        {"verdict": "down", "reasons": ["wrong"] * 7},
        {"verdict": "down", "correction": "x" * 4001},
        {"verdict": "down", "send": "yes"},
        {"reasons": []},
    ],
)
async def test_what_makes_no_sense_is_refused_and_changes_nothing(page: Any, house: Any, body: dict[str, Any]) -> None:
    conversation, message = await answered(page)
    assert (await put(page, message, **body)).status_code == 422
    assert await kept(page, conversation) is None
    assert house.log.of_kind("feedback") == []


async def test_whoever_marks_without_end_is_stopped_before_the_log_is_full_of_it(page: Any, house: Any) -> None:
    house.gateways[0].feedback_bound = RateBound(clock=lambda: 0.0)
    _, message = await answered(page)
    codes = [(await put(page, message, verdict="up", reason=str(n))).status_code for n in range(2 * BURST)]
    assert codes == [204] * BURST + [429] * BURST
    assert len(house.log.of_kind("feedback")) == BURST


async def test_nobody_marks_or_takes_back_what_is_anothers(page: Any, house: Any) -> None:
    conversation, message = await answered(page)
    await put(page, message, **SAID)
    page.http.cookies.clear()
    house.door.guest = "clerk"
    await page.sign_in()
    assert (await put(page, message, verdict="up")).status_code == 404
    assert await take_back(page, message) == 404
    page.http.cookies.clear()
    house.door.guest = "analyst"
    await page.sign_in()
    assert (await kept(page, conversation))["verdict"] == "down"


async def test_the_database_holds_no_readable_word_of_it(page: Any, house: Any) -> None:
    _, message = await answered(page)
    await put(page, message, **SAID)
    async with house.pool.connect() as connection:
        for table in ("feedback", "failure"):
            (row,) = (await connection.execute(text(f"SELECT {table}::text FROM {table}"))).scalars().all()
            for needle in ("marmalade", "quince", "incomplete", "Hello"):
                assert needle not in row
                assert needle.encode().hex() not in row


async def test_export_gives_it_to_the_person_and_erasure_leaves_nothing_that_opens(page: Any, house: Any) -> None:
    _, message = await answered(page)
    await put(page, message, **SAID)
    people = People(house.pool, ConversationStore(house.pool, KEYS.content))
    held = await people.export(subject("analyst"))
    remark = held["conversations"][0]["messages"][-1]["feedback"]
    assert (remark["correction"], remark["send"]) == (SAID["correction"], True)
    (sent,) = held["learning"]["sent"]
    assert (sent["question"], sent["correction"]) == ("how is marmalade made?", SAID["correction"])
    await people.erase(subject("analyst"))
    assert [await house.count(table) for table in ("feedback", "failure", "user_key")] == [0, 0, 0]
    held = (await people.export(subject("analyst")))["learning"]
    assert held == {"sent": [], "rulings": [], "expert_answers": [], "cases": []}


async def test_signs_of_failure_are_counted_by_model_and_by_nothing_else(page: Any, house: Any) -> None:
    conversation = await page.conversation()
    for _ in range(2):
        await page.ask(conversation, "how long is the notice period?")
    house.engine.words = ("I", " cannot", " say", " that", ".")
    await page.ask(conversation, "who may park in the yard?")
    counted = house.gateways[0].metrics.text().decode()
    assert 'sovereign_answer_signals_total{model="small",signal="repeated"} 1.0' in counted
    assert 'sovereign_answer_signals_total{model="small",signal="declined"} 1.0' in counted
    assert "analyst" not in counted
