"""Who asks experts is answered in the conversation, by a group and not by a name; nobody else reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from appliance.gateway.conversations import ConversationStore
from appliance.gateway.people import People
from appliance.learning import failures
from tests.integration.gateway.conftest import KEYS, Page
from tests.integration.gateway.test_experts import CASE, QUESTION, acts_of, as_, rule, waiting
from tests.integration.gateway.test_feedback import answered, put, subject

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.anyio
WORDS = "It is 180 days, see section 4. <img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def nobody_is_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "SECOND_PERCENT", 0)


async def ask(page: Page, house: Any) -> tuple[str, str]:
    """The analyst asks the experts about an answer; (conversation, message)."""
    await as_(page, house, "analyst")
    conversation, message = await answered(page, QUESTION)
    assert (await put(page, message, verdict="down", send=True, asks=True)).status_code == 204
    return conversation, message


async def told(page: Page) -> Any:
    return (await page.http.get("/api/expert-answers")).json()["answers"]


async def unseen(page: Page) -> int:
    found: int = (await page.http.get("/api/session")).json()["expert_answers"]
    return found


async def see(page: Page, *ids: str) -> httpx.Response:
    answer: httpx.Response = await page.http.post(
        "/api/expert-answers/seen", json={"ids": list(ids)}, headers=page.headers
    )
    return answer


async def expert_answers(page: Page, house: Any, name: str = "officer", **said: Any) -> str:
    await as_(page, house, name)
    (one,) = await waiting(page)
    assert (await rule(page, one["id"], answer=WORDS, **said)).status_code == 200
    found: str = one["id"]
    return found


async def test_the_answer_comes_back_to_whoever_asked_and_is_new_until_seen(page: Page, house: Any) -> None:
    conversation, message = await ask(page, house)
    assert house.log.of_kind("feedback")[-1]["unmapped"]["sovereign"]["asked"] is True
    assert await told(page) == []
    await as_(page, house, "officer")
    (one,) = await waiting(page)
    assert one["asks"] is True
    await expert_answers(page, house, case=CASE)
    await as_(page, house, "analyst")
    assert await unseen(page) == 1
    (shown,) = await told(page)
    assert (shown["answer"], shown["group"], shown["question"], shown["seen"]) == (WORDS, "analysts", QUESTION, False)
    assert (shown["conversation_id"], shown["message_id"]) == (conversation, message)
    (there,) = (await page.read(conversation))["expert_answers"]
    assert (there["message_id"], there["answer"]) == (message, WORDS)
    assert subject("officer") not in str(shown) + str(there)
    assert (await see(page, shown["id"])).status_code == 204
    assert await unseen(page) == 0
    assert (await told(page))[0]["seen"] is True


async def test_it_becomes_a_case_by_the_same_form_and_the_log_holds_no_word(page: Page, house: Any) -> None:
    await ask(page, house)
    await expert_answers(page, house, case=CASE)
    assert await house.count("gold_case") == 1
    assert acts_of(house) == [("Create", "ruling"), ("Create", "answer"), ("Create", "case")]
    assert "section 4" not in str(house.log.entries)
    assert "section 4" not in await house.everything()


async def test_the_same_answer_once_more_is_nothing_new_and_another_one_is_to_be_seen(page: Page, house: Any) -> None:
    await ask(page, house)
    failure = await expert_answers(page, house)
    await as_(page, house, "analyst")
    await see(page, (await told(page))[0]["id"])
    await as_(page, house, "officer")
    await rule(page, failure, answer=WORDS)
    assert acts_of(house).count(("Update", "answer")) == 0
    await rule(page, failure, answer="It is 90 days now.")
    assert acts_of(house)[-1] == ("Update", "answer")
    await as_(page, house, "analyst")
    assert await unseen(page) == 1
    assert [one["answer"] for one in await told(page)] == ["It is 90 days now."]


@pytest.mark.parametrize("name", ["clerk", "officer", "deputy"])
async def test_nobody_else_reads_it_or_marks_it_as_seen(page: Page, house: Any, name: str) -> None:
    conversation, _ = await ask(page, house)
    await expert_answers(page, house)
    await as_(page, house, "analyst")
    (mine,) = await told(page)
    await as_(page, house, name)
    assert await told(page) == []
    assert await unseen(page) == 0
    assert (await page.http.get(f"/api/conversations/{conversation}")).status_code == 404
    await see(page, mine["id"])
    await as_(page, house, "analyst")
    assert await unseen(page) == 1


async def test_without_a_log_no_answer_is_kept(page: Page, house: Any) -> None:
    await ask(page, house)
    await as_(page, house, "officer")
    (one,) = await waiting(page)
    house.log.refuse_kinds = frozenset({"expert_act"})
    assert (await rule(page, one["id"], answer=WORDS)).status_code == 503
    assert [await house.count(table) for table in ("ruling", "expert_answer")] == [0, 0]


async def test_other_experts_see_what_was_answered_only_after_their_own_ruling(page: Page, house: Any) -> None:
    await ask(page, house)
    failure = await expert_answers(page, house)
    path = f"/api/expert/failures/{failure}"
    assert (await page.http.get(path)).json()["answer_given"] == WORDS
    await as_(page, house, "deputy")
    shown = (await page.http.get(path)).json()
    assert (shown["answer_given"], shown["others_answered"]) == (None, [])
    await rule(page, failure)
    assert (await page.http.get(path)).json()["others_answered"] == [WORDS]


async def test_taking_it_back_takes_the_answer_along(page: Page, house: Any) -> None:
    _, message = await ask(page, house)
    await expert_answers(page, house)
    await as_(page, house, "analyst")
    await page.http.delete(f"/api/messages/{message}/feedback", headers=page.headers)
    assert await told(page) == []
    assert await house.count("expert_answer") == 0


async def test_an_export_holds_it_and_an_erasure_reaches_it(page: Page, house: Any) -> None:
    await ask(page, house)
    await expert_answers(page, house)
    people = People(house.pool, ConversationStore(house.pool, KEYS.content))
    (held,) = (await people.export(subject("analyst")))["learning"]["expert_answers"]
    assert (held["content"], held["author"]) == (WORDS, False)
    (wrote,) = (await people.export(subject("officer")))["learning"]["expert_answers"]
    assert (wrote["content"], wrote["author"]) == (None, True)
    await people.erase(subject("analyst"))
    assert await house.count("expert_answer") == 0


async def test_what_an_expert_answered_stays_with_the_asker_and_names_nobody_when_the_expert_is_erased(
    page: Page, house: Any
) -> None:
    await ask(page, house)
    await expert_answers(page, house)
    await People(house.pool, ConversationStore(house.pool, KEYS.content)).erase(subject("officer"))
    async with house.pool.connect() as connection:
        assert (await connection.execute(text("SELECT author FROM expert_answer"))).scalar_one() == "erased"
    await as_(page, house, "analyst")
    assert [one["answer"] for one in await told(page)] == [WORDS]


@pytest.mark.parametrize("said", [{"verdict": "up", "asks": True}, {"verdict": "down", "asks": True, "send": False}])
async def test_experts_answer_only_what_was_sent_to_them(page: Page, house: Any, said: dict[str, Any]) -> None:
    await as_(page, house, "analyst")
    _, message = await answered(page, QUESTION)
    assert (await put(page, message, **said)).status_code == 422
    assert await house.count("failure") == 0
