"""Answers say how sure they are where that was calibrated; too unsure ones are withheld as the group says."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from appliance.engine.client import ModelInfo
from appliance.engine.protocol import Token
from appliance.gateway.asking_back import ABSTAINS, ASKS
from appliance.gateway.calibrations import CalibrationStore
from appliance.gateway.entitlements import grant
from appliance.gateway.evaluation import HEADER
from appliance.gateway.shaping import shaped
from appliance.identity.tokens import Principal
from appliance.learning.calibrating import calibrate
from appliance.learning.calibration import NO_ADAPTER
from tests.gateway.doubles import DIGEST, ObedientEngine, receipt, site
from tests.integration.gateway.conftest import Page
from tests.learning.labelled_answers import labels

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from appliance.engine.protocol import Event, Request
    from appliance.learning.calibration import Calibration

pytestmark = pytest.mark.anyio
OTHER = "sha256:" + "0d" * 32
SECRET = "marmalade"
OFTEN = {"requests_per_minute": 10_000}


@dataclass
class Unsure(ObedientEngine):
    """Says each word at ``logprob``; ``spell`` lets it give other tokens' numbers than those of its text."""

    words: tuple[str, ...] = ("It", " is", f" {SECRET}", ".")
    logprob: float = -1.4
    spell: str = "own"

    async def generate(self, request: Request) -> AsyncGenerator[Event, None]:
        async for event in super().generate(request):
            yield self._said(event) if isinstance(event, Token) and event.logprobs else event

    def _said(self, event: Token) -> Token:
        if self.spell == "nothing":
            return Token(event.text)
        piece = b"yes" if self.spell == "others" else event.text.encode()
        return Token(event.text, tuple(replace(one, piece=piece, logprob=self.logprob) for one in event.logprobs))


def config(then: str | None = "abstain", **group: Any) -> Any:
    ruled = {"confidence": {"below": 0.5, "then": then}} if then is not None else {}
    analysts = {"name": "analysts", "models": ["small"], "beta": ["confidence"], "per_user": OFTEN, **ruled, **group}
    clients = [{"id": "evaluator", "groups": ["analysts", "clerks"], "evaluates": True}]
    return site(groups=[analysts, {"name": "clerks", "models": ["small"]}], service_clients=clients)


def setting_of(settings: Any, **changes: Any) -> str:
    """What an answer of analysts on the small model is given under, as the gateway has it."""
    granted = grant(settings, ("analysts",), "small")
    info = ModelInfo({}, receipt("small") | changes.pop("model", {}), 4096, {}, None)
    return shaped(replace(granted, **changes), info, None, told=True)


async def in_force(house: Any, model: str = DIGEST, setting: str | None = None) -> Calibration:
    learnt_under = setting_of(config()) if setting is None else setting
    made = calibrate(labels(300, setting=learnt_under), model, NO_ADAPTER).calibration
    await CalibrationStore(house.pool).put(made, "uid 0")
    return made


async def asked(http: Any, question: str = "What is it in the pantry of the house?", **more: Any) -> Any:
    body = {"model": "small", "messages": [{"role": "user", "content": question}], **more}
    answer = await http.post("/v1/chat/completions", json=body, headers={"Authorization": "Bearer analyst"})
    assert answer.status_code == 200, answer.text
    return answer.json() if not more.get("stream") else answer.text


def said(body: Any) -> str:
    found: str = body["choices"][0]["message"]["content"]
    return found


async def test_without_a_calibration_no_number_is_told_and_no_threshold_holds(house: Any) -> None:
    house.engine = Unsure()
    async with house.open(config()) as http:
        body = await asked(http)
    assert SECRET in said(body)
    told = body["sovereign"]["confidence"]
    assert (told["value"], told["calibrated"], told["labels"], told["ece"]) == (None, False, None, None)
    assert told["beta"] is True
    assert "confidence" not in house.log.of_kind("answer")[-1]["unmapped"]["sovereign"]


async def test_a_calibrated_answer_says_its_number_and_where_that_comes_from(house: Any) -> None:
    made = await in_force(house)
    house.engine = Unsure(logprob=-0.05)
    async with house.open(config()) as http:
        body = await asked(http)
    told, receipt = body["sovereign"]["confidence"], body["sovereign"]["receipt"]
    assert SECRET in said(body)
    assert told["value"] > 0.5
    assert (told["calibrated"], told["labels"], told["outcome"]) == (True, made.labels, "given")
    assert told["ece"] == round(made.ece, 3)
    assert receipt["confidence"]["calibration"] == made.digest
    assert set(receipt["confidence"]["signal"]) == set(made.weights)
    assert "beta" not in receipt
    assert house.log.of_kind("answer")[-1]["unmapped"]["sovereign"]["confidence"] == told["value"]


@pytest.mark.parametrize(("then", "words"), [("abstain", ABSTAINS), ("ask_back", ASKS)])
@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_too_unsure_is_withheld_and_nowhere_kept(
    house: Any, then: str, words: dict[str, str], *, stream: bool
) -> None:
    await in_force(house)
    house.engine = Unsure()
    async with house.open(config(then)) as http:
        body = await asked(http, stream=stream)
    assert SECRET not in str(body)
    assert words["en"] in str(body)
    assert SECRET not in await house.everything()
    entry = house.log.of_kind("answer")[-1]["unmapped"]["sovereign"]
    assert entry["abstained"] == "low_confidence"
    assert 0 < entry["confidence"] < 0.5
    assert house.log.of_kind("answer")[-1]["message_context"]["completion_tokens"] == 4  # paid for all the same
    if not stream:
        receipt = body["sovereign"]["receipt"]
        assert receipt["confidence"]["outcome"] == {"abstain": "abstained", "ask_back": "asked_back"}[then]
        assert receipt["beta"] == ["confidence"]


async def test_mark_gives_the_answer_with_a_warning(house: Any) -> None:
    await in_force(house)
    house.engine = Unsure()
    async with house.open(config("mark")) as http:
        body = await asked(http)
    assert SECRET in said(body)
    assert body["sovereign"]["confidence"]["outcome"] == "marked"
    assert "abstained" not in house.log.of_kind("answer")[-1]["unmapped"]["sovereign"]


async def test_a_group_without_the_feature_is_measured_in_nothing(house: Any) -> None:
    await in_force(house)
    house.engine = Unsure()
    async with house.open(config(None, beta=[])) as http:
        body = await asked(http)
    assert SECRET in said(body)
    assert "confidence" not in body["sovereign"]
    assert "confidence" not in body["sovereign"]["receipt"]
    assert house.engine.requests[-1].top_logprobs is None


async def test_a_calibration_of_another_model_or_one_that_was_changed_is_none(house: Any) -> None:
    from sqlalchemy import text  # noqa: PLC0415 - only here

    await in_force(house, OTHER)
    house.engine = Unsure()
    async with house.open(config()) as http:
        assert (await asked(http))["sovereign"]["confidence"]["calibrated"] is False
        async with house.pool.begin() as connection:  # who can write the database moves it to this model
            await connection.execute(text("UPDATE calibration SET model = :m"), {"m": DIGEST})
        assert (await asked(http))["sovereign"]["confidence"]["calibrated"] is False
        await in_force(house)
        assert (await asked(http))["sovereign"]["confidence"]["calibrated"] is True
        async with house.pool.begin() as connection:
            change = text("UPDATE calibration SET body = replace(body, :was, :now)")
            await connection.execute(change, {"was": '"labels":300', "now": '"labels":900'})
        assert (await asked(http))["sovereign"]["confidence"]["calibrated"] is False


@pytest.mark.parametrize(
    "engine",
    [Unsure(spell="nothing"), Unsure(spell="others"), Unsure(logprob=math.nan), Unsure(logprob=3.0), Unsure(words=())],
    ids=["none", "of other tokens", "not a number", "above one", "no answer"],
)
async def test_an_engine_that_gives_no_honest_numbers_does_not_choose_what_is_looked_at(
    house: Any, engine: Unsure
) -> None:
    await in_force(house)
    house.engine = engine
    async with house.open(config()) as http:
        body = await asked(http)
    told = body["sovereign"]["confidence"]
    assert (told["value"], told["calibrated"], told["outcome"], told["cause"]) == (
        None,
        False,
        "abstained",
        "not_judged",
    )
    assert SECRET not in str(body)


async def test_an_answer_that_is_held_back_and_left_is_not_handed_out_in_part(house: Any) -> None:
    await in_force(house)
    async with house.open(config()) as http:
        other = Page(http)
        house.engine.words, house.engine.pause = (f" {SECRET}",) * 50, 0.02
        await other.sign_in()
        conversation = await other.conversation()
        path = f"/api/conversations/{conversation}/messages"
        async with http.stream("POST", path, json={"content": "What is it?"}, headers=other.headers) as stream:
            lines = []
            async for line in stream.aiter_lines():
                lines.append(line)
                if line.startswith("event: held"):
                    break
        await house.answers_are_over()
        kept = (await other.read(conversation))["messages"][-1]
    assert SECRET not in "".join(lines)
    assert (kept["content"], kept["finish_reason"]) == ("", "cancelled")


async def test_a_log_that_is_down_gives_nothing_of_what_was_held_back(house: Any) -> None:
    await in_force(house)
    house.engine = Unsure(logprob=-0.05)
    house.log.refuse_kinds = frozenset({"answer"})
    async with house.open(config()) as http:
        body = {"model": "small", "messages": [{"role": "user", "content": "What is in it?"}], "stream": True}
        answer = await http.post("/v1/chat/completions", json=body, headers={"Authorization": "Bearer analyst"})
        assert SECRET not in answer.text
        assert "audit_unavailable" in answer.text
        house.log.refuse_kinds = frozenset()


async def test_evaluations_see_the_answer_itself_and_its_features_whatever_the_group_withholds(house: Any) -> None:
    await in_force(house)
    house.engine = Unsure()
    house.door.people["evaluator"] = Principal(
        **{
            **vars(house.door.people["analyst"]),
            "client_id": "evaluator",
            "groups": ("analysts", "clerks"),
            "roles": (),
        }
    )
    body = {"model": "small", "messages": [{"role": "user", "content": "What is in the pantry?"}]}
    async with house.open(config()) as http:
        for group in ("analysts", "clerks"):
            headers = {"Authorization": "Bearer evaluator", HEADER: group}
            answer = (await http.post("/v1/chat/completions", json=body, headers=headers)).json()
            assert SECRET in said(answer)
            assert answer["sovereign"]["receipt"]["confidence"]["signal"]["mean"] == -1.4


async def test_the_page_is_told_how_far_it_is_and_then_the_answer(house: Any) -> None:
    await in_force(house)
    house.engine.words = tuple(f" {n}" for n in range(20))
    async with house.open(config()) as http:
        other = Page(http)
        await other.sign_in()
        conversation = await other.conversation()
        path = f"/api/conversations/{conversation}/messages"
        text = (await http.post(path, json={"content": "Count to twenty, please"}, headers=other.headers)).text
    events = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    assert events[:4] == ["start", "held", "held", "held"]
    assert events[4:] == ["token"] * 20 + ["receipt", "done"]


async def test_words_of_refusal_in_front_do_not_carry_an_answer_past_the_threshold(house: Any) -> None:
    await in_force(house)
    house.engine = Unsure(words=("I", " cannot", " answer", " that", ":", f" {SECRET}", "."))
    async with house.open(config()) as http:
        body = await asked(http)
        assert SECRET not in str(body)
        assert body["sovereign"]["confidence"]["cause"] == "low_confidence"
        house.engine.logprob = -0.05
        sure = await asked(http)
    assert SECRET in said(sure)
    assert sure["sovereign"]["confidence"]["value"] is None
