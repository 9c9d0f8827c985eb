"""Who is erased, takes back or disagrees while an expert rules is not outrun: nothing comes back or gets stuck."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from appliance.gateway import gold_rows
from appliance.gateway.conversations import ConversationStore
from appliance.gateway.gold_cases import CaseStore
from appliance.gateway.people import People
from appliance.learning import failures
from appliance.learning.cases import Content
from tests.integration.gateway.conftest import KEYS
from tests.integration.gateway.test_experts import CASE, OTHER, QUESTION, acts_of, as_, queue, rule, send, waiting
from tests.integration.gateway.test_feedback import SAID, answered, put, subject, take_back

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.gateway.conftest import Page

pytestmark = pytest.mark.anyio
REWORDED = {**CASE, "question": "Frist einer Kündigung in Tagen, bitte"}


@pytest.fixture(autouse=True)
def nobody_is_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "SECOND_PERCENT", 0)


def people_of(house: Any) -> People:
    return People(house.pool, ConversationStore(house.pool, KEYS.content))


def store_of(house: Any) -> CaseStore:
    return CaseStore(house.pool, ConversationStore(house.pool, KEYS.content))


async def subjects(house: Any, table: str, column: str) -> set[str]:
    async with house.pool.connect() as connection:
        return set((await connection.execute(text(f"SELECT {column} FROM {table}"))).scalars().all())


async def meanwhile(house: Any, page: Page, failure: str, act: Callable[[], Any]) -> tuple[int, asyncio.Task[Any]]:
    """Rule, and let ``act`` begin when the ruling is about to be entered: inside its transaction."""
    begun: list[asyncio.Task[Any]] = []
    desk = house.gateways[0].ledger
    enter = desk.expert_act

    async def entering(**about: Any) -> Any:
        if about["action"] != "read" and not begun:
            begun.append(asyncio.create_task(act()))
            await asyncio.sleep(0.2)  # long enough for it to have run through, if nothing held it
            assert not begun[0].done()
        return await enter(**about)

    desk.expert_act = entering
    answer = await rule(page, failure, case=CASE, note="see section 4")
    return answer.status_code, begun[0]


@pytest.mark.parametrize("who", ["analyst", "officer"])
async def test_whoever_is_erased_while_an_expert_rules_leaves_no_word_and_no_key(
    page: Page, house: Any, who: str
) -> None:
    await send(page, house)
    await as_(page, house, "officer")
    (one,) = await waiting(page)
    status, erasing = await meanwhile(house, page, one["id"], lambda: people_of(house).erase(subject(who)))
    await erasing
    assert status == 200  # it was first, and then everything went
    assert subject(who) not in await subjects(house, "user_key", "subject")
    assert await subjects(house, "gold_case", "sealed_for") == (set() if who == "analyst" else {subject("analyst")})
    assert await house.count("ruling") == 0
    await as_(page, house, "deputy")
    await queue(page)
    assert (await page.http.get("/api/expert/cases")).status_code == 200


async def test_a_ruling_on_words_of_somebody_who_was_erased_makes_no_key_and_no_case(page: Page, house: Any) -> None:
    await send(page, house)
    await as_(page, house, "officer")
    (one,) = await waiting(page)
    gateway = house.gateways[0]
    of_groups = gateway.failures.of_groups

    async def late(groups: Any) -> Any:
        """Between what was read and what is written."""
        await people_of(house).erase(subject("analyst"))
        return await of_groups(groups)

    gateway.failures.of_groups = late
    assert (await rule(page, one["id"], case=CASE)).status_code == 404
    assert [await house.count(table) for table in ("ruling", "gold_case")] == [0, 0]
    assert subject("analyst") not in await subjects(house, "user_key", "subject")


async def test_a_row_whose_key_is_gone_stops_nobody(page: Page, house: Any) -> None:
    for name, question in (("analyst", QUESTION), ("deputy", "Where may bicycles stand?")):
        await send(page, house, name, question=question)
    await as_(page, house, "officer")
    for one in await waiting(page):
        await rule(page, one["id"], note="by the book", case={**CASE, "question": one["question"]})
    async with house.pool.begin() as connection:
        gone = [subject("analyst"), subject("officer")]
        await connection.execute(text("DELETE FROM user_key WHERE subject = ANY(:gone)"), {"gone": gone})
        damaged = "UPDATE failure SET sealed = '\\x00' WHERE subject = :deputy"
        await connection.execute(text(damaged), {"deputy": subject("deputy")})
    assert len((await page.http.get("/api/expert/cases")).json()["cases"]) == 1
    assert [one.case.content.question for one in await store_of(house).current()] == ["Where may bicycles stand?"]
    assert await waiting(page) == []
    await send(page, house, "deputy")
    await as_(page, house, "officer")
    (fresh,) = await waiting(page)
    assert (await rule(page, fresh["id"], case=OTHER)).status_code == 200


async def test_two_experts_who_contradict_each_other_at_once_are_first_and_second(house: Any) -> None:
    content = {**CASE, "groups": ["analysts"]}
    one, other = (Content.model_validate({**content, "expected": [said]}) for said in ("180 days", "90 days"))
    done = await asyncio.gather(*(store_of(house).add(case, "uid 0") for case in (one, other)), return_exceptions=True)
    assert [getattr(result, "code", "kept") for result in done].count("contradicting_cases") == 1
    assert [kept.state for kept in await store_of(house).current()] == ["active"]


async def test_the_second_expert_who_says_otherwise_blocks_the_case_of_their_ruling(
    page: Page, house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "SECOND_PERCENT", 100)
    await send(page, house)
    await as_(page, house, "officer")
    (one,) = await waiting(page)
    await rule(page, one["id"], ruling="right")
    await as_(page, house, "deputy")
    assert (await rule(page, one["id"], ruling="wrong", case=CASE)).status_code == 409
    assert await house.count("gold_case") == 0


async def test_a_blocked_case_that_is_made_again_is_kept_only_when_that_was_decided(page: Page, house: Any) -> None:
    made = [Content.model_validate({**one, "groups": ["analysts"]}) for one in (CASE, OTHER)]
    await store_of(house).take_in(made, "uid 0")
    await send(page, house)
    await as_(page, house, "officer")
    (one,) = await waiting(page)
    assert (await rule(page, one["id"], case=CASE)).status_code == 409
    assert (await rule(page, one["id"], case={**CASE, "decided": True})).status_code == 200
    states = {kept.case.content.expected[0]: kept.state for kept in await store_of(house).current()}
    assert states == {"180 days": "active", "90 days": "retired"}
    assert acts_of(house)[-2:] == [("Update", "case"), ("Delete", "case")]


async def test_no_expert_retires_a_case_of_a_group_that_is_not_theirs(page: Page, house: Any) -> None:
    both, theirs = (
        Content.model_validate({**CASE, "groups": groups, "expected": [said]})
        for groups, said in ((["analysts", "clerks"], "180 days"), (["clerks"], "90 days"))
    )
    await store_of(house).take_in([both, theirs], "uid 0")
    await send(page, house)
    await as_(page, house, "officer")  # of the analysts alone
    (blocked,) = (await queue(page))["blocked"]
    refused = await page.http.post(f"/api/expert/cases/{blocked['id']}/decision", headers=page.headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_yours_to_decide")
    (one,) = await waiting(page)
    refused = await rule(page, one["id"], case={**CASE, "expected": ["a year"], "decided": True})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_yours_to_decide")
    assert [kept.state for kept in await store_of(house).current()] == ["blocked", "blocked"]
    assert acts_of(house) == [("Create", "ruling")]
    await as_(page, house, "deputy")  # of both
    decided = await page.http.post(f"/api/expert/cases/{blocked['id']}/decision", headers=page.headers)
    assert len(decided.json()["retired"]) == 1
    assert acts_of(house)[1:] == [("Update", "case"), ("Delete", "case")]


async def test_without_an_entry_for_it_no_case_is_in_force_and_none_is_retired(
    page: Page, house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [Content.model_validate({**one, "groups": ["analysts"]}) for one in (CASE, OTHER)]
    await store_of(house).take_in(made, "uid 0")
    await send(page, house)
    await as_(page, house, "officer")
    (one,) = await waiting(page)
    add = gold_rows.set_state

    async def then_the_log_is_down(*given: Any) -> None:
        await add(*given)
        house.log.up = False

    monkeypatch.setattr(gold_rows, "set_state", then_the_log_is_down)
    assert (await rule(page, one["id"], case={**CASE, "decided": True})).status_code == 503
    house.log.up = True
    blocked = [str(kept.case.id) for kept in await store_of(house).current()]
    decided = await page.http.post(f"/api/expert/cases/{blocked[0]}/decision", headers=page.headers)
    assert decided.status_code == 503
    assert [kept.state for kept in await store_of(house).current()] == ["blocked", "blocked"]
    assert await house.count("ruling") == 0


@pytest.mark.parametrize(("case", "left"), [(CASE, 0), (REWORDED, 1)])
@pytest.mark.parametrize("how", ["taken back", "asked again, then taken back", "conversation deleted", "not sent"])
async def test_what_is_taken_back_takes_cases_in_the_persons_words_along(
    page: Page, house: Any, case: dict[str, Any], left: int, how: str
) -> None:
    conversation, message = await answered(page, QUESTION)
    await put(page, message, verdict="down", send=True)
    await as_(page, house, "officer")
    (one,) = await waiting(page)
    await rule(page, one["id"], case=case)
    await as_(page, house, "analyst")
    path = f"/api/conversations/{conversation}"
    if "again" in how:
        await page.http.post(f"{path}/messages/{message}/retry", headers=page.headers)
        assert (await page.read(conversation))["sent_before"] == [message]
    if "taken back" in how:
        assert await take_back(page, message) == 204
        assert (await page.read(conversation))["sent_before"] == []
    elif how == "not sent":
        await put(page, message, verdict="down")
    else:
        await page.http.delete(path, headers=page.headers)
    assert await house.count("failure") == 0
    assert [kept.origin for kept in await store_of(house).current()] == [None] * left


async def test_nobody_takes_back_what_another_sent_even_when_its_answer_is_gone(page: Page, house: Any) -> None:
    conversation, message = await answered(page, QUESTION)
    await put(page, message, verdict="down", send=True)
    path = f"/api/conversations/{conversation}/messages/{message}/retry"
    await page.http.post(path, headers=page.headers)
    await as_(page, house, "deputy")
    assert await take_back(page, message) == 404
    assert await house.count("failure") == 1


async def test_a_word_more_keeps_what_experts_ruled(page: Page, house: Any) -> None:
    _, message = await answered(page, QUESTION)
    await put(page, message, **SAID)
    await as_(page, house, "officer")
    (one,) = await waiting(page)
    await rule(page, one["id"])
    await as_(page, house, "analyst")
    await put(page, message, **{**SAID, "reason": "and one word more"})
    assert [await house.count(table) for table in ("failure", "ruling")] == [1, 1]
    await as_(page, house, "officer")
    shown = (await page.http.get(f"/api/expert/failures/{one['id']}")).json()
    assert (shown["reason"], shown["ruling"]) == ("and one word more", "wrong")


async def test_erasure_leaves_no_digest_that_confirms_a_guess(page: Page, house: Any) -> None:
    await send(page, house)
    await as_(page, house, "officer")
    (one,) = await waiting(page)
    await rule(page, one["id"], case=REWORDED)
    (digest,) = await subjects(house, "gold_case", "origin_digest")
    stranger = ConversationStore(house.pool, KEYS.content)
    async with house.pool.begin() as connection:
        keys = await stranger.sealers(connection, (subject("analyst"), subject("officer")))
    assert digest == keys[subject("analyst")].digest(QUESTION)
    assert digest != keys[subject("officer")].digest(QUESTION)
    await people_of(house).erase(subject("analyst"))
    assert await subjects(house, "gold_case", "origin_digest") == {None}
    assert await subjects(house, "gold_case", "failure_id") == {None}


async def test_one_person_fills_no_queue_and_sends_nothing_that_is_too_long(
    page: Page, house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.gateway.feedback.MOST_WAITING", 2)
    monkeypatch.setattr("appliance.gateway.feedback.LONGEST_QUESTION", 40)
    _, long = await answered(page, "x " * 30)
    refused = await put(page, long, verdict="down", send=True)
    assert (refused.status_code, refused.json()["code"]) == (422, "too_long_to_send")
    codes = []
    for number in range(3):
        _, message = await answered(page, f"question {number}?")
        codes.append((await put(page, message, verdict="down", send=True)).status_code)
    assert codes == [204, 204, 429]
    assert await house.count("failure") == 2
    assert len(house.log.of_kind("feedback")) == 2  # what was refused left no entry that it was kept
    assert (await put(page, message, verdict="down")).status_code == 204
    await as_(page, house, "officer")
    await rule(page, (await waiting(page))[0]["id"])
    await as_(page, house, "analyst")
    assert (await put(page, message, verdict="down", send=True)).status_code == 204  # what was judged waits no more
