"""Whose experts may be sent an answer: those who may read whatever it was given from, and whom the person named."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from tests.gateway.doubles import principal, site
from tests.integration.gateway.conftest import Page, events_of
from tests.integration.gateway.test_experts import as_, waiting
from tests.integration.gateway.test_feedback import put
from tests.memory.library import House as Importing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio
PARKING = "Visitors may park in bay seven. A visit lasts at most ninety minutes."
QUESTION = "How long may visitors park in the bay?"
SEND = {"verdict": "down", "send": True}


@pytest.fixture
async def library(house: Any) -> Importing:
    found = Importing(house.pool, house.embedding)
    await found.take("parking.txt", PARKING, "analysts", title="Parking")
    await found.take("canteen.txt", "The canteen opens at noon.", "analysts", "clerks", title="Canteen")
    return found


@pytest.fixture
async def page(house: Any, library: Importing) -> AsyncIterator[Page]:
    """Somebody of two groups, of which only ``analysts`` may read about parking."""
    assert library
    house.engine.words = ("Visitors may park in bay seven [1].",)
    house.door.people["deputy"] = principal("deputy", "analysts", "clerks")
    house.door.guest = "deputy"
    models = [{"name": "small"}, {"name": "large"}, {"name": "minilm"}]
    async with house.open(site(models=models, documents={"model": "minilm"})) as opened:
        yield await Page(opened).sign_in()


async def ask(page: Page, conversation: str, question: str, *, documents: bool) -> str:
    """The id of the answer."""
    said = {"content": question, "documents": documents}
    sent = await page.http.post(f"/api/conversations/{conversation}/messages", json=said, headers=page.headers)
    return str(dict(events_of(sent.text))["start"]["message_id"])


async def open_to(page: Page, message: str) -> list[str]:
    found: list[str] = (await page.http.get(f"/api/messages/{message}/feedback")).json()["groups"]
    return found


async def test_an_answer_from_documents_goes_only_to_those_who_may_read_them(page: Page, house: Any) -> None:
    conversation = await page.conversation()
    message = await ask(page, conversation, QUESTION, documents=True)
    assert await open_to(page, message) == ["analysts"]
    refused = await put(page, message, **SEND, group="clerks")
    assert (refused.status_code, refused.json()["code"]) == (422, "not_this_group")
    assert await house.count("failure") == 0
    assert (await put(page, message, **SEND)).status_code == 204  # the one group that is left needs no name
    assert (await page.read(conversation))["messages"][-1]["feedback"]["group"] == "analysts"
    assert house.log.of_kind("feedback")[-1]["unmapped"]["sovereign"]["sent_to"] == "analysts"
    await as_(page, house, "officer")
    assert [one["question"] for one in await waiting(page)] == [QUESTION]


async def test_what_both_groups_may_read_goes_to_the_one_that_is_named(page: Page, house: Any) -> None:
    message = await ask(page, await page.conversation(), "When does the canteen open?", documents=True)
    assert await open_to(page, message) == ["analysts", "clerks"]
    refused = await put(page, message, **SEND)
    assert (refused.status_code, refused.json()["code"], refused.json()["param"]) == (422, "no_group", "group")
    for group in ("clerks", "analysts"):  # it moves, and is never with both
        assert (await put(page, message, **SEND, group=group)).status_code == 204
        async with house.pool.connect() as connection:
            rows = (await connection.execute(text("SELECT group_name FROM failure"))).scalars().all()
        assert rows == [group]
    assert (await put(page, message, **SEND, group="strangers")).json()["code"] == "not_this_group"


async def test_a_later_answer_may_quote_what_an_earlier_one_was_given(page: Page) -> None:
    conversation = await page.conversation()
    await ask(page, conversation, QUESTION, documents=True)
    later = await ask(page, conversation, "Say that again in other words.", documents=False)
    assert await open_to(page, later) == ["analysts"]
    elsewhere = await ask(page, await page.conversation(), "Say that again in other words.", documents=False)
    assert await open_to(page, elsewhere) == ["analysts", "clerks"]


async def test_a_group_that_lost_the_document_is_not_sent_what_was_said_from_it(
    page: Page, house: Any, library: Importing
) -> None:
    message = await ask(page, await page.conversation(), QUESTION, documents=True)
    document = await library.library.known("test:parking.txt")
    assert document is not None
    await library.library.regroup(document.id, ["clerks"])
    assert await open_to(page, message) == ["clerks"]
    await library.library.delete(document.id)
    assert await open_to(page, message) == []
    refused = await put(page, message, **SEND, group="analysts")
    assert (refused.status_code, refused.json()["code"]) == (422, "from_documents")
    assert (await put(page, message, verdict="down", correction="ninety minutes")).status_code == 204
    assert await house.count("failure") == 0


async def test_what_an_answer_without_a_receipt_was_given_from_is_not_known(page: Page, house: Any) -> None:
    conversation = await page.conversation()
    message = await ask(page, conversation, QUESTION, documents=True)
    async with house.pool.begin() as connection:
        change = text("UPDATE message SET receipt = NULL WHERE id = :id")
        await connection.execute(change, {"id": uuid.UUID(message)})
    later = await ask(page, conversation, "Thank you.", documents=False)
    assert [await open_to(page, one) for one in (message, later)] == [[], []]


async def test_what_was_said_under_a_group_s_instructions_goes_to_that_group_alone(house: Any) -> None:
    """A model repeats what it was told."""
    house.engine.words = ("I was told that band nine is confidential.",)
    house.door.people["deputy"] = principal("deputy", "analysts", "clerks")
    house.door.guest = "deputy"
    told = {"instructions": "Band nine is confidential.", "per_user": {"tokens_per_day": 9_000_000}}
    of_the_model = {"models": ["small", "large"]}
    groups = [{"name": "clerks", **of_the_model, **told}, {"name": "analysts", **of_the_model}]
    async with house.open(site(groups=groups)) as opened:
        page = await Page(opened).sign_in()
        message = await ask(page, await page.conversation(), "What were you told?", documents=False)
        assert await open_to(page, message) == ["clerks"]
        refused = await put(page, message, **SEND, group="analysts")
        assert (refused.status_code, refused.json()["code"]) == (422, "not_this_group")
        assert await house.count("failure") == 0


async def test_nobody_asks_about_an_answer_of_somebody_else(page: Page, house: Any) -> None:
    message = await ask(page, await page.conversation(), QUESTION, documents=True)
    await as_(page, house, "clerk")
    assert (await page.http.get(f"/api/messages/{message}/feedback")).status_code == 404
