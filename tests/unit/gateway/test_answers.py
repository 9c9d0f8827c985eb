from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit.commitment import commit
from appliance.audit.errors import ReceiptError
from appliance.audit.open_requests import instance, step
from appliance.audit.receipt_check import check_receipt, receipt_digest
from appliance.engine.protocol import Token
from appliance.gateway import answers, ledger
from appliance.gateway.engine_asked import engine_request
from appliance.gateway.entitlements import grant
from appliance.gateway.errors import NotReadyError
from appliance.gateway.steps import Failed, Finished, Started, Step, Text
from tests.gateway.doubles import LOG_KEYS, site

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from appliance.engine.protocol import Event, Request
    from appliance.gateway.answers import Answer

pytestmark = pytest.mark.anyio


def said(steps: list[Step]) -> str:
    return "".join(step.text for step in steps if isinstance(step, Text))


def failure(steps: list[Step]) -> Any:
    last = steps[-1]
    assert isinstance(last, Failed)
    return last.error


async def rest(answer: Answer) -> list[Step]:
    found = [step async for step in answer.steps()]
    await answer.task
    return found


async def settle_down() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_an_answer_starts_speaks_and_ends_with_a_receipt(bench: Any) -> None:
    steps = await bench.steps()
    assert isinstance(steps[0], Started)
    assert said(steps) == "Hello there."
    assert isinstance(steps[-1], Finished)
    assert steps[-1].outcome == "stop"
    assert bench.log.kinds() == ["request", "answer"]
    assert bench.quotas.settled == [len("what is this?") + 3]


async def test_nothing_is_handed_out_before_the_entry_is_durable_though_the_engine_was_asked(bench: Any) -> None:
    bench.log.go = asyncio.Event()
    answer = await bench.start()
    reading = asyncio.ensure_future(rest(answer))
    await settle_down()
    assert len(bench.engine.requests) == 1
    assert bench.keeper.calls == []
    assert not reading.done()
    bench.log.go.set()
    assert said(await reading) == "Hello there."


async def test_the_quota_is_settled_while_the_log_takes_the_end_of_an_answer(bench: Any) -> None:
    appended = bench.log.append

    async def slow(event: dict[str, Any], **fields: Any) -> Any:
        if event["unmapped"]["sovereign"]["kind"] == "answer":
            await asyncio.wait_for(bench.settled.wait(), 5)
        return await appended(event, **fields)

    async def settle(reservation: object, used: int) -> None:
        await counted(reservation, used)
        bench.settled.set()

    counted, bench.settled = bench.quotas.settle, asyncio.Event()
    bench.log.append, bench.quotas.settle = slow, settle
    assert isinstance((await bench.steps())[-1], Finished)
    assert bench.quotas.settled == [len("what is this?") + 3], "once"


async def test_a_defect_in_settling_leaves_nobody_waiting_for_the_last_word(bench: Any) -> None:
    async def defect(*_: object) -> None:
        raise ZeroDivisionError

    bench.quotas.settle = defect
    answer = await bench.start()
    steps = await asyncio.wait_for(until_the_last(answer), 5)
    assert isinstance(steps[-1], Finished)
    with pytest.raises(ZeroDivisionError):
        await answer.task


async def until_the_last(answer: Answer) -> list[Step]:
    return [step async for step in answer.steps()]


@pytest.mark.parametrize("first", ["token", "end"])
async def test_an_engine_that_answers_before_it_admits_is_not_heard(bench: Any, first: str) -> None:
    async def generate(request: Request) -> AsyncGenerator[Event, None]:
        yield Token("leak") if first == "token" else bench.engine._end(request, ())

    bench.engine.generate = generate
    steps = await bench.steps()
    assert [type(step) for step in steps] == [Failed]
    assert (failure(steps).status, failure(steps).code) == (503, "engine_failed")
    assert bench.log.kinds() == ["request", "refusal"]
    assert bench.quotas.settled == [0]


async def test_without_a_log_there_is_no_token_and_the_engine_is_cancelled(bench: Any) -> None:
    bench.log.up = False
    steps = await bench.steps()
    assert [type(step) for step in steps] == [Failed]
    assert (failure(steps).status, failure(steps).code) == (503, "audit_unavailable")
    assert bench.engine.closed == 1
    assert bench.keeper.calls == ["closed"]
    assert bench.quotas.settled == [0]


async def test_a_stopped_answer_keeps_what_was_said_and_is_logged_as_cancelled(bench: Any) -> None:
    bench.engine.pause = 3600
    bench.engine.words = ("never",)
    answer = await bench.start()
    steps = answer.steps()
    assert isinstance(await anext(steps), Started)
    answer.tally.add(Token("half a"))
    answer.stop()
    answer.stop()
    last = await anext(steps)
    await answer.task
    assert isinstance(last, Finished)
    assert last.outcome == "cancelled"
    assert last.receipt["energy"] is None
    assert (bench.keeper.text, bench.keeper.outcome) == ("half a", "cancelled")
    assert bench.keeper.calls == ["started", "finished", "closed"]
    assert bench.log.of_kind("answer")[0]["unmapped"]["sovereign"]["outcome"] == "cancelled"
    assert bench.engine.closed == 1


async def test_a_stop_while_the_log_is_writing_still_closes_the_request_in_the_log(bench: Any) -> None:
    bench.log.go = asyncio.Event()
    answer = await bench.start()
    await settle_down()
    answer.stop()
    await settle_down()
    bench.log.go.set()
    await answer.task
    assert bench.log.kinds() == ["request", "answer"]
    assert bench.keeper.calls == ["closed"]


async def test_a_stop_before_anything_happened_leaves_no_entry(bench: Any) -> None:
    answer = await bench.start()
    answer.stop()
    steps = await rest(answer)
    assert [type(step) for step in steps] == [Failed]
    assert bench.log.entries == []
    assert bench.quotas.settled == [0]


async def test_an_engine_that_breaks_off_is_told_logged_and_the_part_is_kept(bench: Any) -> None:
    steps = await bench.steps("break")
    assert said(steps) == "Hello there."
    assert failure(steps).code == "engine_unavailable"
    assert bench.log.of_kind("answer")[0]["unmapped"]["sovereign"]["outcome"] == "error"
    assert (bench.keeper.text, bench.keeper.outcome) == ("Hello there.", "error")


async def test_a_request_that_the_engine_refuses_is_closed_by_a_refusal_and_costs_nothing(bench: Any) -> None:
    steps = await bench.steps("busy")
    assert (failure(steps).status, failure(steps).retry_after) == (429, 7)
    assert bench.log.kinds() == ["request", "refusal"]
    assert bench.quotas.settled == [0]
    assert bench.keeper.calls == ["closed"]


async def test_an_engine_that_is_down_gives_503(bench: Any) -> None:
    job = await bench.job()
    bench.engine.up = False
    desk = answers.Desk(bench.ledger, bench.quotas, bench.metrics, bench.shelf, bench.savings, bench.rollouts)
    answer = answers.Answer(desk, bench.engine, job, bench.keeper)
    assert failure(await rest(answer)).status == 503


async def test_an_answer_whose_entry_cannot_be_written_has_no_receipt(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "_ATTEMPT_PAUSE", 0)
    bench.log.refuse_kinds = frozenset({"answer"})
    steps = await bench.steps()
    assert failure(steps).code == "audit_unavailable"
    assert (bench.keeper.text, bench.keeper.receipt) == ("Hello there.", None)


async def test_an_answer_whose_entry_cannot_be_proved_has_a_receipt_that_says_so(bench: Any) -> None:
    bench.log.proves = False
    receipt = (await bench.steps())[-1].receipt
    assert receipt["log"]["proof"] is None
    assert receipt["log"]["answer_index"] == 1
    (entry,) = (event["unmapped"]["sovereign"] for event in bench.log.of_kind("answer"))
    assert entry["receipt_digest"] == receipt_digest(receipt)
    with pytest.raises(ReceiptError, match="carries no proof"):
        check_receipt(receipt, LOG_KEYS.vkeys("sovereign/test"))


async def test_the_end_that_the_log_did_not_take_is_written_once_it_is_back(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "_ATTEMPT_PAUSE", 0)
    bench.log.refuse_kinds = frozenset({"answer"})
    await bench.steps()
    await bench.ledger.pay()
    assert bench.log.kinds() == ["request"]
    bench.log.refuse_kinds = frozenset()
    for _ in range(2):
        await bench.ledger.pay()
        assert bench.log.kinds() == ["request", "answer"]
    begun, ended = (entry_id for entry_id, _ in bench.log.entries)
    assert step(begun) == (begun.removesuffix("/request"), True)
    assert step(ended) == (begun.removesuffix("/request"), False)


async def test_a_request_that_the_log_took_without_saying_so_gets_its_end(bench: Any) -> None:
    bench.log.up = False
    assert failure(await bench.steps()).code == "audit_unavailable"
    bench.log.up = True
    await bench.ledger.pay()
    assert bench.log.kinds() == ["refusal"]
    assert bench.log.entries[0][0].endswith("/end")


async def test_a_request_has_one_id_for_its_end_however_it_ends(bench: Any) -> None:
    for question in ("what is this?", "busy", "break"):
        await bench.steps(question)
    steps = [step(entry_id) for entry_id, _ in bench.log.entries]
    requests = [found[0] for found in steps if found]
    assert [begins for found in steps if found for begins in found[1:]] == [True, False] * 3
    assert all(instance(request) == bench.log.instance for request in requests)
    assert len(set(requests)) == 3


async def test_a_keeper_that_cannot_keep_stops_the_answer_before_its_first_token(bench: Any) -> None:
    bench.keeper.refuses = NotReadyError("the database does not answer", code="database_unavailable")
    steps = await bench.steps()
    assert [type(step) for step in steps] == [Failed]
    assert failure(steps).code == "database_unavailable"
    assert bench.log.kinds() == ["request", "refusal"]


async def test_an_answer_that_takes_too_long_is_interrupted(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MAX_SECONDS", 0.01)
    bench.engine.pause = 3600
    steps = await bench.steps()
    assert isinstance(steps[-1], Finished)
    assert steps[-1].outcome == "interrupted"
    assert bench.log.kinds() == ["request", "answer"]


async def test_a_receipt_can_be_checked_by_whoever_holds_the_texts(bench: Any) -> None:
    steps = await bench.steps("what is this?")
    receipt = steps[-1].receipt
    commitments = receipt["commitments"]
    prompt = json.dumps([{"content": "what is this?", "role": "user"}], separators=(",", ":")).encode()
    assert commitments["prompt"] == commit(prompt, base64.b64decode(commitments["prompt_salt"]))
    assert commitments["answer"] == commit(b"Hello there.", base64.b64decode(commitments["answer_salt"]))
    entry = bench.log.of_kind("answer")[0]["unmapped"]["sovereign"]
    assert entry["answer_commitment"] == commitments["answer"]
    bare = {name: value for name, value in receipt.items() if name != "log"}
    raw = json.dumps(bare, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    assert entry["receipt_digest"] == receipt_digest(receipt) == "sha256:" + hashlib.sha256(raw).hexdigest()
    place = {name: value for name, value in receipt["log"].items() if name != "proof"}
    assert place == {"origin": "sovereign/test", "request_index": 0, "answer_index": 1, "size": 2}
    checked = check_receipt(receipt, LOG_KEYS.vkeys("sovereign/test"), b"Hello there.")
    assert (checked.index, checked.answer_matches) == (1, True)
    assert check_receipt(receipt, LOG_KEYS.vkeys("sovereign/test"), b"Hello there").answer_matches is False
    assert receipt["sampler"] == {"temperature": 0.5, "top_p": 0.9, "seed": 7, "max_tokens": 64}


async def test_no_entry_holds_what_was_said(bench: Any) -> None:
    await bench.steps("a secret question")
    assert "secret" not in json.dumps(bench.log.entries)
    assert "Hello" not in json.dumps(bench.log.entries)


async def test_metrics_name_models_and_outcomes_and_nobody(bench: Any) -> None:
    await bench.steps()
    text = bench.metrics.text().decode()
    assert 'sovereign_answers_total{model="small",outcome="stop"} 1.0' in text
    assert "0" * 32 not in text
    assert "analysts" not in text


async def test_the_engine_is_told_whose_a_request_is_how_much_it_weighs_and_how_urgent_it_is(bench: Any) -> None:
    groups = [{"name": "clerks", "models": ["small"], "weight": 2.5}]
    job = await bench.job(grant=grant(site(groups=groups), ["clerks"], "small"), priority=-1)
    asked = engine_request(job)
    assert (asked.user, asked.group, asked.weight, asked.priority) == ("0" * 32, "clerks", 2.5, -1)
    heavy = replace(job, caller=replace(job.caller, weight=8.0))
    assert engine_request(heavy).weight == 8.0, "what Keycloak says counts before the site file"
