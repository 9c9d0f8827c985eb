"""Answers with passages, without a database: what is committed to, what is logged, what a silent library means."""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any

import pytest

from appliance.audit.commitment import opens
from appliance.audit.receipt_check import receipt_digest
from appliance.engine.protocol import Message
from appliance.gateway.documents import room
from appliance.gateway.errors import UnprocessableError
from appliance.gateway.grounding import Grounding, checked, entered, given, looked_up, rested, shown
from appliance.gateway.steps import Finished
from appliance.memory.quoting import RULE
from tests.memory.passages import passage

YARD = passage("Visitors may park in bay seven.", "Parking", "Yard", page=3, first=100, last=131)
SAID = "Visitors may park in bay seven [1]."


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def answered(bench: Any, *there: Any) -> dict[str, Any]:
    bench.engine.words = (SAID,)
    bench.shelf.there = there[0] if there == (None,) else there
    steps = await bench.steps("May I park?", grounding=Grounding((YARD,)))
    assert isinstance(steps[-1], Finished)
    return steps[-1].receipt


@pytest.mark.anyio
async def test_the_receipt_says_what_an_answer_rests_on_and_its_digest_in_the_log_covers_that(bench: Any) -> None:
    receipt = await answered(bench, YARD)
    (claim,) = receipt["documents"]["claims"]
    assert (claim["support"], claim["citations"][0]["first"]) == ("quoted", 100)
    ours = bench.log.of_kind("answer")[0]["unmapped"]["sovereign"]
    assert ours["receipt_digest"] == receipt_digest(receipt)
    assert receipt_digest({**receipt, "documents": {}}) != receipt_digest(receipt)
    assert bench.shelf.asked == [("analysts",)]


@pytest.mark.anyio
async def test_a_library_that_does_not_answer_leaves_the_answer_without_a_source_and_the_log_whole(bench: Any) -> None:
    documents = (await answered(bench, None))["documents"]
    assert (documents["checked"], documents["passages"][0]["gone"]) == (False, True)
    assert [claim["support"] for claim in documents["claims"]] == ["unsupported"]
    assert bench.log.kinds() == ["request", "answer"]
    assert "spans" not in bench.log.of_kind("answer")[0]["unmapped"]["sovereign"]


@pytest.mark.anyio
async def test_the_commitment_opens_for_who_holds_the_question_and_the_places(bench: Any) -> None:
    made = (await answered(bench, YARD))["commitments"]
    messages = json.dumps([{"role": "user", "content": "May I park?"}], sort_keys=True, separators=(",", ":"))
    prompt = f"{messages}\n{Grounding((YARD,)).committed}".encode()
    assert opens(made["prompt"], prompt, base64.b64decode(made["prompt_salt"]))
    assert "bay seven" not in Grounding((YARD,)).committed


def test_nothing_of_a_documents_words_is_in_what_is_kept_and_all_of_it_in_what_is_told() -> None:
    grounding = Grounding((YARD,))
    kept = rested(SAID, grounding, (YARD,))
    assert not [word for word in ("Parking", "Yard", "bay") if word in json.dumps(kept)]
    (told,) = shown(kept, grounding)["passages"]
    assert (told["title"], told["headings"], told["text"]) == ("Parking", ["Yard"], YARD.body)
    (gone,) = shown(rested(SAID, grounding, (None,)), grounding)["passages"]
    assert not {"title", "headings", "text"} & set(gone)


def test_a_span_that_several_claims_rest_on_is_entered_once() -> None:
    digests, spans = entered(rested(f"{SAID} {SAID}", Grounding((YARD,)), (YARD,)))
    assert (digests, spans) == ((YARD.digest,), ("1 100-130",))
    assert entered(None) == ((), ())


def test_a_version_of_which_several_passages_are_shown_is_named_once_and_a_span_by_the_number_of_its_passage() -> None:
    gate = passage("The gate closes at eight.", first=7, last=32)
    further = dataclasses.replace(YARD, first=200, last=231)
    changed = dataclasses.replace(YARD, text_digest="sha256:" + "0" * 64)
    grounding = Grounding((YARD, gate, further, changed))
    assert given(grounding) == (
        f"{YARD.document} {YARD.text_digest} 100-131",
        f"{gate.document} {gate.text_digest} 7-32",
        "1 200-231",
        f"{YARD.document} {changed.text_digest} 100-131",
    )
    said = rested(f"{SAID} The gate closes at eight [2].", grounding, grounding.passages)
    assert entered(said) == ((YARD.digest, gate.digest), ("1 100-130", "2 7-31"))


def test_the_sites_rule_is_last_in_the_system_message_and_in_the_scope_of_whoever_wrote_it() -> None:
    grounding = Grounding((YARD,))
    (alone, _) = grounding.ruled([Message("user", "May I?")])
    assert (alone.content, alone.scope) == (RULE, "site")
    (group, _) = grounding.ruled([Message("system", "Ours.", "group"), Message("user", "May I?")])
    assert (group.content, group.scope) == (f"Ours.\n\n{RULE}", "group")
    assert Grounding(()).ruled([Message("user", "May I?")]) == (Message("user", "May I?"),)


def test_a_question_that_says_little_is_looked_up_with_the_one_before_it() -> None:
    before = {"role": "user", "content": "How long may visitors park in bay seven?"}
    answer = {"role": "assistant", "content": "Ninety minutes."}
    short, long = "And on Sundays?", "Which fee do employees pay for a permanent card?"
    assert looked_up([before, answer, {"role": "user", "content": short}]) == f"{short}\n{before['content']}"
    assert looked_up([before, answer, {"role": "user", "content": long}]) == long
    assert looked_up([{"role": "user", "content": short}]) == short


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
        [{"role": "system", "content": "a"}],
        [{"role": "assistant", "content": "", "tool_calls": "[]"}, {"role": "user", "content": "b"}],
        [{"role": "tool", "content": "a"}, {"role": "user", "content": "b"}],
    ],
)
def test_quotations_stand_by_a_persons_question_and_by_nothing_else(messages: list[dict[str, str]]) -> None:
    with pytest.raises(UnprocessableError) as refused:
        checked(messages)
    assert refused.value.param == "documents"


def test_passages_have_what_the_answer_and_the_conversation_leave_and_a_third_at_most() -> None:
    assert room(3000, 200, []) == 1000
    assert room(3000, 2700, []) < 300
    assert room(3000, 200, ["x" * 9000]) < 0
