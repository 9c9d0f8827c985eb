"""Experts see what was sent to a group of theirs and nothing else; what they rule becomes cases, and is in the log."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from appliance.gateway import failures as failure_store
from appliance.gateway.conversations import ConversationStore
from appliance.gateway.gold_cases import CaseStore
from appliance.gateway.gold_rows import SITE
from appliance.gateway.people import People
from appliance.gateway.rate_bound import RateBound
from appliance.learning import failures
from appliance.learning.cases import Content
from tests.audit.former import in_words
from tests.integration.gateway.conftest import KEYS, Page
from tests.integration.gateway.test_feedback import answered, put, subject

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.anyio
QUESTION = "How long is the notice period?"
CASE = {"question": QUESTION, "kind": "contains", "expected": ["180 days"], "language": "en"}
OTHER = {**CASE, "expected": ["90 days"]}
GROUP = {name: {"group": "analysts"} if name == "deputy" else {} for name in ("analyst", "officer", "deputy", "clerk")}
"""Who is in several groups names one."""


@pytest.fixture(autouse=True)
def nobody_is_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids are chance; a test that wants a second opinion says so."""
    monkeypatch.setattr(failures, "SECOND_PERCENT", 0)


async def as_(page: Page, house: Any, name: str) -> Page:
    page.http.cookies.clear()
    house.door.guest = name
    return await page.sign_in()


async def send(page: Page, house: Any, name: str = "analyst", **said: Any) -> None:
    """Somebody asks, gets an answer and sends it to the analysts' experts."""
    await as_(page, house, name)
    _, message = await answered(page, said.pop("question", QUESTION))
    assert (await put(page, message, **{"verdict": "down", "send": True, **GROUP[name], **said})).status_code == 204


async def queue(page: Page) -> dict[str, Any]:
    answer = await page.http.get("/api/expert/queue")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def waiting(page: Page) -> list[dict[str, Any]]:
    return [one for cluster in (await queue(page))["clusters"] for one in cluster["failures"]]


async def rule(page: Page, failure: str, **body: Any) -> httpx.Response:
    path = f"/api/expert/failures/{failure}/ruling"
    answer: httpx.Response = await page.http.put(path, json={"ruling": "wrong", **body}, headers=page.headers)
    return answer


def acts_of(house: Any) -> list[tuple[str, str]]:
    """What experts did that changed anything."""
    acts = [(in_words(e)["activity_name"], e["entity"]["type"]) for e in house.log.of_kind("expert_act")]
    return [act for act in acts if act[0] != "Read"]


async def test_an_expert_opens_what_was_sent_and_the_log_says_so_before(page: Page, house: Any) -> None:
    await send(page, house, reasons=["wrong"], reason="it is longer", correction="180 days")
    await as_(page, house, "officer")
    (one,) = await waiting(page)
    shown = (await page.http.get(f"/api/expert/failures/{one['id']}")).json()
    assert (shown["question"], shown["answer"]) == (QUESTION, "Hello there.")
    assert (shown["reasons"], shown["reason"], shown["correction"]) == (["wrong"], "it is longer", "180 days")
    assert subject("analyst") not in str(shown)
    looks = [(in_words(entry)["activity_name"], entry["entity"]) for entry in house.log.of_kind("expert_act")]
    assert looks == [
        ("Read", {"name": "analysts", "type": "queue"}),
        ("Read", {"name": one["id"], "type": "failure"}),
    ]
    await page.http.get("/api/expert/cases")
    assert house.log.of_kind("expert_act")[-1]["entity"] == {"name": "analysts", "type": "cases"}
    house.log.up = False
    for what in ("queue", "cases", f"failures/{one['id']}"):
        assert (await page.http.get(f"/api/expert/{what}")).status_code == 503


async def test_whoever_looks_without_end_is_stopped_before_the_log_is_full_of_it(page: Page, house: Any) -> None:
    await as_(page, house, "officer")
    house.gateways[0].expert_bound = RateBound(clock=lambda: 0.0, burst=3)
    codes = [(await page.http.get("/api/expert/queue")).status_code for _ in range(5)]
    assert codes == [200] * 3 + [429] * 2
    assert len(house.log.of_kind("expert_act")) == 3


@pytest.mark.parametrize("path", ["queue", "cases", "failures/00000000-0000-0000-0000-000000000001"])
async def test_nobody_else_sees_anything_and_that_they_asked_is_logged(page: Page, house: Any, path: str) -> None:
    await send(page, house)
    await as_(page, house, "clerk")
    answer = await page.http.get(f"/api/expert/{path}")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_an_expert")
    assert house.log.of_kind("refusal")[-1]["status_code"] == "not_an_expert"


async def test_an_expert_sees_no_other_group_and_judges_no_words_of_their_own(page: Page, house: Any) -> None:
    await send(page, house, "clerk")
    await send(page, house, "analyst")
    await as_(page, house, "officer")  # of the analysts
    assert [one["group"] for one in await waiting(page)] == ["analysts"]
    await as_(page, house, "deputy")  # of both
    ids = {one["group"]: one["id"] for one in await waiting(page)}
    assert set(ids) == {"analysts", "clerks"}
    await as_(page, house, "officer")
    assert (await page.http.get(f"/api/expert/failures/{ids['clerks']}")).status_code == 404
    assert (await rule(page, ids["clerks"])).status_code == 404
    await as_(page, house, "analyst")  # an expert, too, and the one who sent it
    assert await waiting(page) == []
    assert (await rule(page, ids["analysts"])).status_code == 404


async def test_nothing_of_a_conversation_is_shown_that_was_not_sent(page: Page, house: Any) -> None:
    await as_(page, house, "analyst")
    conversation = await page.conversation()
    await page.ask(conversation, "my secret is marmalade")
    await page.ask(conversation, QUESTION)
    message = (await page.read(conversation))["messages"][-1]["id"]
    await put(page, message, verdict="down", send=True)
    await page.ask(conversation, "and quince")
    await as_(page, house, "officer")
    (one,) = await waiting(page)
    seen = (await page.http.get(f"/api/expert/failures/{one['id']}")).text + str(await queue(page))
    assert "marmalade" not in seen
    assert "quince" not in seen


async def test_a_ruling_settles_it_and_makes_a_case_that_names_where_it_came_from(page: Page, house: Any) -> None:
    await send(page, house)
    await as_(page, house, "officer")
    (one,) = await waiting(page)
    made = (await rule(page, one["id"], note="see section 4", case=CASE)).json()["case"]
    assert await waiting(page) == []
    (kept,) = await CaseStore(house.pool, ConversationStore(house.pool, KEYS.content)).current()
    assert (str(kept.case.id), kept.case.version, kept.state) == (made, 1, "active")
    assert (kept.origin.subject, str(kept.origin.failure), kept.author) == (
        subject("analyst"),
        one["id"],
        subject("officer"),
    )
    assert (kept.case.content.groups, kept.case.content.language) == (("analysts",), "en")
    assert acts_of(house) == [("Create", "ruling"), ("Create", "case")]
    entries = str(house.log.entries)
    assert QUESTION not in entries
    assert not re.search(r"\b180\b", entries)  # a word of its own: digits stand in random names, too
    assert (await rule(page, one["id"], case=CASE)).json()["case"] == made  # the same once more is the same


async def test_what_is_settled_does_not_hide_what_is_open(
    page: Page, house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failure_store, "LISTED", 1)
    await send(page, house, question="Where is the oldest question?")
    await send(page, house, question="Where is the newest question?")
    await as_(page, house, "officer")
    (newest,) = await waiting(page)
    assert newest["question"] == "Where is the newest question?"
    await rule(page, newest["id"])
    assert [one["question"] for one in await waiting(page)] == ["Where is the oldest question?"]
    await as_(page, house, "deputy")
    assert [one["question"] for one in await waiting(page)] == ["Where is the oldest question?"]


async def test_a_second_opinion_is_asked_blind_and_agreement_is_measured(
    page: Page, house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "SECOND_PERCENT", 100)
    await send(page, house)
    await as_(page, house, "officer")
    (one,) = await waiting(page)
    await rule(page, one["id"], note="the first opinion")
    assert await waiting(page) == []
    await as_(page, house, "deputy")
    assert [found["standing"] for found in await waiting(page)] == ["second"]
    path = f"/api/expert/failures/{one['id']}"
    assert (await page.http.get(path)).json()["others"] == []
    hasty = await rule(page, one["id"], ruling="right", case=CASE)
    assert (hasty.status_code, hasty.json()["code"]) == (409, "contradicting_cases")  # the first one said otherwise
    assert [await house.count(table) for table in ("ruling", "gold_case")] == [2, 0]  # theirs was kept before
    assert (await page.http.get(path)).json()["others"] == [{"ruling": "wrong", "note": "the first opinion"}]
    found = await queue(page)
    assert (found["agreement"]["count"], found["agreement"]["observed"]) == (1, 0.0)
    assert [(e["you"], e["rulings"]) for e in found["experts"]].count((True, {"right": 1})) == 1
    assert (await rule(page, one["id"], ruling="wrong", case={**CASE, "decided": True})).json()["case"]
    found = await queue(page)  # who goes along after having seen the others agreed with nobody
    assert (found["agreement"]["count"], found["agreement"]["observed"]) == (1, 0.0)


async def test_contradicting_corrections_are_shown_and_block_the_case_until_somebody_decides(
    page: Page, house: Any
) -> None:
    await send(page, house, "analyst", correction="180 days")
    await send(page, house, "deputy", correction="three months")
    await as_(page, house, "officer")
    found = await queue(page)
    ids = {one["id"] for cluster in found["clusters"] for one in cluster["failures"]}
    assert set(found["contradicting"][0]) == ids
    one = min(ids)
    refused = await rule(page, one, case=CASE)
    assert (refused.status_code, refused.json()["code"]) == (409, "contradicting_cases")
    assert [await house.count(table) for table in ("ruling", "gold_case")] == [1, 0]
    assert (await rule(page, one, case={**CASE, "decided": True})).status_code == 200
    assert await house.count("gold_case") == 1


async def test_a_case_that_contradicts_another_retires_it_only_when_that_was_decided(page: Page, house: Any) -> None:
    await send(page, house)
    await send(page, house, "deputy")
    await as_(page, house, "officer")
    first, second = [one["id"] for one in await waiting(page)]
    old = (await rule(page, first, case=CASE)).json()["case"]
    assert (await rule(page, second, case=OTHER)).status_code == 409
    new = (await rule(page, second, case={**OTHER, "decided": True})).json()["case"]
    cases = {one["id"]: one["state"] for one in (await page.http.get("/api/expert/cases")).json()["cases"]}
    assert cases == {old: "retired", new: "active"}


async def test_imported_cases_that_contradict_are_both_blocked_until_an_expert_keeps_one(
    page: Page, house: Any
) -> None:
    store = CaseStore(house.pool, ConversationStore(house.pool, KEYS.content))
    made = [Content.model_validate({**one, "groups": ["analysts"], "language": "en"}) for one in (CASE, OTHER, CASE)]
    assert await store.take_in(made, "uid 0") == {"new": 1, "unchanged": 1, "blocked": 1}
    assert [one.state for one in await store.current()] == ["blocked", "blocked"]
    await as_(page, house, "officer")
    keep = next(one for one in (await queue(page))["blocked"] if one["expected"] == ["90 days"])
    path = f"/api/expert/cases/{keep['id']}/decision"
    assert len((await page.http.post(path, headers=page.headers)).json()["retired"]) == 1
    assert {one.case.content.expected[0]: one.state for one in await store.current()} == {
        "180 days": "retired",
        "90 days": "active",
    }
    assert (await page.http.post(path, headers=page.headers)).status_code == 404  # nothing is left to decide


async def test_a_case_is_superseded_and_never_overwritten(house: Any) -> None:
    store = CaseStore(house.pool, ConversationStore(house.pool, KEYS.content))
    content = Content.model_validate({**CASE, "groups": ["analysts"], "language": "en"})
    first = (await store.add(content, "uid 0")).case
    second = await store.supersede(first.id, content.model_copy(update={"expected": ("six months",)}), "uid 0")
    assert (second.id, second.version) == (first.id, 2)
    assert await house.count("gold_case") == 2
    (current,) = await store.current()
    assert (current.case.version, current.case.content.expected) == (2, ("six months",))


@pytest.mark.parametrize(("question", "left"), [(QUESTION, 0), ("Frist einer Kündigung in Tagen, bitte", 1)])
async def test_erasing_a_person_takes_cases_in_their_words_and_their_name_from_others(
    page: Page, house: Any, question: str, left: int
) -> None:
    await send(page, house)
    await as_(page, house, "officer")
    (one,) = await waiting(page)
    await rule(page, one["id"], case={**CASE, "question": question})
    people = People(house.pool, ConversationStore(house.pool, KEYS.content))
    (named,) = (await people.export(subject("analyst")))["learning"]["cases"]
    assert (named["origin"], named["content"] is None) == (True, bool(left))
    await people.erase(subject("analyst"))
    cases = await CaseStore(house.pool, ConversationStore(house.pool, KEYS.content)).current()
    assert [(kept.origin, kept.sealed_for) for kept in cases] == [(None, SITE)] * left
    await people.erase(subject("officer"))
    async with house.pool.connect() as connection:
        for table in ("gold_case", "ruling", "failure"):
            rows = "".join((await connection.execute(text(f"SELECT {table}::text FROM {table}"))).scalars().all())
            assert subject("analyst") not in rows
            assert subject("officer") not in rows


async def test_an_expert_who_is_erased_leaves_no_word_of_their_rulings(page: Page, house: Any) -> None:
    await send(page, house)
    await as_(page, house, "officer")
    (one,) = await waiting(page)
    await rule(page, one["id"], note="by the rule book")
    people = People(house.pool, ConversationStore(house.pool, KEYS.content))
    assert (await people.export(subject("officer")))["learning"]["rulings"][0]["note"] == "by the rule book"
    await people.erase(subject("officer"))
    assert await house.count("ruling") == 0
    assert await house.count("failure") == 1


@pytest.mark.parametrize(
    "body",
    [
        {"ruling": "maybe"},
        {"case": {**CASE, "expected": []}},
        {"case": {**CASE, "kind": "language", "expected": ["xx"]}},
        {"case": {**CASE, "groups": ["clerks"]}},
        {"case": {**CASE, "question": " "}},
        {"note": "x" * 4001},
    ],
)
async def test_a_ruling_that_makes_no_sense_is_refused_and_changes_nothing(
    page: Page, house: Any, body: dict[str, Any]
) -> None:
    await send(page, house)
    await as_(page, house, "officer")
    (one,) = await waiting(page)
    assert (await rule(page, one["id"], **body)).status_code == 422
    assert [await house.count(table) for table in ("ruling", "gold_case")] == [0, 0]
    assert len(await waiting(page)) == 1
