from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.anyio


async def test_an_answer_streams_to_the_page_with_its_receipt_and_is_kept(page: Any, house: Any) -> None:
    conversation = await page.conversation()
    events = await page.ask(conversation, "what is this?")
    assert [name for name, _ in events] == ["start", "token", "token", "token", "receipt", "done"]
    assert events[-1][1] == {"finish_reason": "stop"}
    receipt = events[-2][1]
    assert receipt["log"]["origin"] == "sovereign/test"
    kept = await page.read(conversation)
    assert kept["title"] == "what is this?"
    question, answer = kept["messages"]
    assert (question["id"], answer["id"]) == (events[0][1]["user_message_id"], events[0][1]["message_id"])
    assert (answer["content"], answer["finish_reason"]) == ("Hello there.", "stop")
    assert answer["receipt"] == receipt
    assert house.log.kinds() == ["sign_in", "request", "answer"]


async def test_earlier_turns_are_sent_along_and_the_oldest_dropped_when_the_engine_says_so(
    page: Any, house: Any
) -> None:
    conversation = await page.conversation()
    await page.ask(conversation, "first question")
    await page.ask(conversation, "second question")
    asked = house.engine.requests[-1].messages
    assert [m.content for m in asked] == ["first question", "Hello there.", "second question"]
    house.engine.context_tokens = 60  # one character is one token there: only the engine knows
    house.gateways[0].catalogue._known.clear()
    events = await page.ask(conversation, "a third and somewhat longer question")
    assert events[-1][0] == "done"
    assert [m.content for m in house.engine.requests[-1].messages] == ["a third and somewhat longer question"]


async def test_a_question_that_alone_does_not_fit_is_refused_and_nothing_is_kept(page: Any, house: Any) -> None:
    house.engine.context_tokens = 64
    conversation = await page.conversation()
    answer = await page.http.post(
        f"/api/conversations/{conversation}/messages", json={"content": "x" * 500}, headers=page.headers
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "context_length_exceeded")
    assert (await page.read(conversation))["messages"] == []
    assert (await page.ask(conversation, "short"))[-1][0] == "done"


async def test_closing_the_connection_stops_the_engine_and_keeps_the_part(page: Any, house: Any) -> None:
    house.engine.pause = 0.02
    conversation = await page.conversation()
    async with page.http.stream(
        "POST", f"/api/conversations/{conversation}/messages", json={"content": "endless"}, headers=page.headers
    ) as stream:
        async for line in stream.aiter_lines():
            if "token" in line:
                break
    await until(lambda: house.engine.closed == 1)
    await house.answers_are_over()
    answer = (await page.read(conversation))["messages"][-1]
    assert answer["finish_reason"] == "cancelled"
    assert answer["content"].startswith(" 0")
    assert answer["receipt"]["usage"]["completion_tokens"] < 100
    assert house.log.of_kind("answer")[0]["unmapped"]["sovereign"]["outcome"] == "cancelled"


async def test_an_engine_that_breaks_off_ends_the_stream_with_a_problem(page: Any) -> None:
    conversation = await page.conversation()
    events = await page.ask(conversation, "break")
    assert events[-1][0] == "problem"
    assert events[-1][1]["code"] == "engine_unavailable"
    answer = (await page.read(conversation))["messages"][-1]
    assert (answer["content"], answer["finish_reason"]) == ("Hello there.", "error")


async def test_without_a_log_the_page_gets_503_and_no_token(page: Any, house: Any) -> None:
    conversation = await page.conversation()
    house.log.up = False
    answer = await page.http.post(
        f"/api/conversations/{conversation}/messages", json={"content": "hi"}, headers=page.headers
    )
    assert (answer.status_code, answer.json()["code"]) == (503, "audit_unavailable")
    assert "Hello" not in answer.text
    assert (await page.read(conversation))["messages"] == []
    house.log.up = True
    assert (await page.ask(conversation, "hi"))[-1][0] == "done"


async def test_a_retry_replaces_the_last_answer_and_only_the_last(page: Any, house: Any) -> None:
    conversation = await page.conversation()
    first = (await page.ask(conversation, "one"))[0][1]["message_id"]
    last = (await page.ask(conversation, "two"))[0][1]["message_id"]
    house.engine.words = ("Another",)
    path = f"/api/conversations/{conversation}/messages"
    refused = await page.http.post(f"{path}/{first}/retry", headers=page.headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_last_answer")
    again = await page.http.post(f"{path}/{last}/retry", headers=page.headers)
    assert '"finish_reason":"stop"' in again.text
    assert [m.content for m in house.engine.requests[-1].messages] == ["one", "Hello there.", "two"]
    contents = [m["content"] for m in (await page.read(conversation))["messages"]]
    assert contents == ["one", "Hello there.", "two", "Another"]
    gone = await page.http.post(f"{path}/{uuid.uuid4()}/retry", headers=page.headers)
    assert gone.status_code == 404


async def test_two_answers_cannot_be_written_into_one_conversation_at_once(page: Any, house: Any) -> None:
    house.engine.go = asyncio.Event()
    conversation = await page.conversation()
    path = f"/api/conversations/{conversation}/messages"
    first = asyncio.create_task(page.http.post(path, json={"content": "one"}, headers=page.headers))
    await until(lambda: bool(house.engine.requests))
    second = await page.http.post(path, json={"content": "two"}, headers=page.headers)
    assert (second.status_code, second.json()["code"]) == (409, "busy")
    house.engine.go.set()
    assert (await first).status_code == 200


async def test_conversations_are_listed_newest_first_renamed_and_deleted(page: Any, house: Any) -> None:
    older, newer = await page.conversation(), await page.conversation("large")
    await page.ask(older, "hello")
    await feedback(page, (await page.read(older))["messages"][1]["id"], verdict="down", reason="wrong")
    listed = (await page.http.get("/api/conversations")).json()["conversations"]
    assert [c["id"] for c in listed] == [older, newer]
    renamed = await page.http.patch(f"/api/conversations/{older}", json={"title": " x "}, headers=page.headers)
    assert renamed.json()["title"] == "x"
    assert (await page.http.delete(f"/api/conversations/{older}", headers=page.headers)).status_code == 204
    assert (await page.http.get(f"/api/conversations/{older}")).status_code == 404
    assert [await house.count(table) for table in ("conversation", "message", "feedback")] == [1, 0, 0]


async def feedback(page: Any, message: str, **body: Any) -> httpx.Response:
    answer: httpx.Response = await page.http.put(f"/api/messages/{message}/feedback", json=body, headers=page.headers)
    return answer


async def test_feedback_is_kept_with_its_answer_and_the_latest_counts(page: Any) -> None:
    conversation = await page.conversation()
    await page.ask(conversation, "hello")
    question, answer = (await page.read(conversation))["messages"]
    assert (await feedback(page, answer["id"], verdict="up")).status_code == 204
    assert (await feedback(page, answer["id"], verdict="down", reason="too short")).status_code == 204
    kept = (await page.read(conversation))["messages"][1]["feedback"]
    said = {"verdict": "down", "reasons": [], "reason": "too short", "correction": None}
    assert kept == {**said, "send": False, "group": None, "asks": False}
    assert (await feedback(page, question["id"], verdict="up")).status_code == 404
    assert (await feedback(page, answer["id"], verdict="sideways")).status_code == 422


async def test_nobody_reads_changes_or_answers_in_anothers_conversation(page: Any, house: Any) -> None:
    conversation = await page.conversation()
    await page.ask(conversation, "mine")
    answer = (await page.read(conversation))["messages"][1]["id"]
    page.http.cookies.clear()
    house.door.guest = "clerk"
    await page.sign_in()
    assert (await page.http.get("/api/conversations")).json() == {"conversations": []}
    path = f"/api/conversations/{conversation}"
    found = [
        await page.http.get(path),
        await page.http.patch(path, json={"title": "x"}, headers=page.headers),
        await page.http.delete(path, headers=page.headers),
        await page.http.post(f"{path}/messages", json={"content": "x"}, headers=page.headers),
        await page.http.post(f"{path}/messages/{answer}/retry", headers=page.headers),
        await feedback(page, answer, verdict="up"),
        await page.http.get("/api/conversations/not-an-id"),
    ]
    assert {response.status_code for response in found} == {404}


async def test_the_database_holds_no_readable_word_of_a_conversation(page: Any, house: Any) -> None:
    conversation = await page.conversation()
    await page.ask(conversation, "marmalade secret")
    await feedback(page, (await page.read(conversation))["messages"][1]["id"], verdict="down", reason="marmalade")
    needles = [b"marmalade", b"Hello", b"analysts", b"refresh"]
    tables = ("conversation", "message", "feedback", "user_key", "session")
    async with house.pool.connect() as connection:
        for table in tables:
            rows = (await connection.execute(text(f"SELECT {table}::text FROM {table}"))).scalars().all()
            assert rows
            plain = "".join(rows).encode()
            assert not any(needle in plain or needle.hex().encode() in plain for needle in needles), table


async def test_a_model_that_the_person_may_not_use_is_refused_and_logged(page: Any, house: Any) -> None:
    page.http.cookies.clear()
    house.door.guest = "clerk"
    await page.sign_in()
    refused = await page.http.post("/api/conversations", json={"model": "large"}, headers=page.headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "model_not_allowed")
    assert [event["status_code"] for event in house.log.of_kind("refusal")] == ["model_not_allowed"]


async def until(holds: Any) -> None:
    while not holds():  # noqa: ASYNC110 - bounded by the test run
        await asyncio.sleep(0.005)


async def test_a_question_whose_conversation_is_deleted_before_it_starts_still_gets_its_closing_entry(
    page: Any, house: Any
) -> None:
    conversation = await page.conversation()
    house.log.go = asyncio.Event()
    url = f"/api/conversations/{conversation}/messages"
    asking = asyncio.create_task(page.http.post(url, json={"content": "hello"}, headers=page.headers))
    while not house.engine.requests:  # noqa: ASYNC110 - the engine is a double
        await asyncio.sleep(0.005)
    gone = await page.http.delete(f"/api/conversations/{conversation}", headers=page.headers)
    assert gone.status_code == 204
    house.log.go.set()
    assert (await asking).status_code == 404
    assert house.log.kinds() == ["sign_in", "request", "refusal"]
