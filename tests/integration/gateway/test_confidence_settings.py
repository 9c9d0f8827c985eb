"""What was learnt under other instructions, pack, brief or settings of documents is told of no answer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import text

from appliance.engine.client import ModelInfo
from appliance.gateway.calibrations import CalibrationStore
from appliance.gateway.entitlements import grant
from appliance.gateway.grounding import Grounding
from appliance.gateway.instructions import Instructions
from appliance.gateway.packs import UnderPack
from appliance.gateway.shaping import shaped
from appliance.learning.calibrating import calibrate
from appliance.learning.calibration import NO_ADAPTER
from tests.gateway.doubles import DIGEST, receipt
from tests.integration.gateway.test_confidence import SECRET, Unsure, asked, config, in_force, said
from tests.learning.labelled_answers import labels

if TYPE_CHECKING:
    from appliance.gateway.entitlements import Grant

pytestmark = pytest.mark.anyio
GRANT = grant(config(), ("analysts",), "small")
LOOKED_UP = {"model": DIGEST, "passages": 5, "nothing_fits": "abstain"}


def under(granted: Grant = GRANT, *, model: dict[str, Any] | None = None, told: bool = True, **looked: Any) -> str:
    grounding = Grounding((), looked_up_by=LOOKED_UP | looked["by"]) if looked else None
    info = ModelInfo({}, receipt("small") | (model or {}), 4096, {}, None)
    return shaped(granted, info, grounding, told=told)


def test_whatever_shapes_an_answer_makes_another_setting_and_what_does_not_makes_none() -> None:
    words = Instructions("Be brief.", "Be kind.", "It opens at nine.")
    told = replace(GRANT, instructions=words)
    adapters = {"adapters": {"legal": {"digest": "sha256:" + "11" * 32}}}
    other = {"adapters": {"legal": {"digest": "sha256:" + "22" * 32}}}
    settings = [
        under(),
        under(told),
        under(told, told=False),
        under(replace(told, instructions=replace(words, site="Be brief!"))),
        under(replace(told, instructions=replace(words, group="Be kind!"))),
        under(replace(told, instructions=replace(words, brief="It opens at ten."))),
        under(replace(told, pack=UnderPack("care", "1.0.0", "sha256:" + "33" * 32))),
        under(replace(told, pack=UnderPack("care", "1.0.0", "sha256:" + "44" * 32))),
        under(model={"digest": "sha256:" + "55" * 32}),
        under(model={"template_digest": "sha256:" + "66" * 32}),
        under(replace(GRANT, adapter="legal"), model=adapters),
        under(replace(GRANT, adapter="legal"), model=other),
        under(by={}),
        under(by={"passages": 4}),
        under(by={"nothing_fits": "answer"}),
        under(by={"model": "sha256:" + "77" * 32}),
    ]
    assert len(set(settings)) == len(settings)
    again = replace(told, instructions=replace(words, trial=True))
    assert under(again) == under(told), "trying a pack beforehand measures what will be in force"
    assert under(model={"waivers": ["until tomorrow"], "signers": []}) == under()


@pytest.mark.parametrize("then", ["mark", "abstain"])
async def test_after_a_change_of_instructions_no_number_is_told_no_threshold_holds_and_the_answer_says_why(
    house: Any, then: str
) -> None:
    await in_force(house)
    house.engine = Unsure()
    async with house.open(config(then)) as http:
        before = await asked(http)
    async with house.open(config(then, instructions="Answer in rhymes.")) as http:
        after = await asked(http)
    assert before["sovereign"]["confidence"]["calibrated"] is True
    assert "unmeasured" not in before["sovereign"]["confidence"]
    told, kept = after["sovereign"]["confidence"], after["sovereign"]["receipt"]["confidence"]
    assert (told["value"], told["calibrated"], told["labels"], told["ece"]) == (None, False, None, None)
    assert (told["unmeasured"], told["outcome"]) == ("other_setting", "given")
    assert SECRET in said(after)
    assert "calibration" not in kept
    assert kept["setting"] != before["sovereign"]["receipt"]["confidence"]["setting"]
    assert "confidence" not in house.log.of_kind("answer")[-1]["unmapped"]["sovereign"]


async def test_evaluating_and_calibrating_again_is_enough_and_going_back_needs_nothing(house: Any) -> None:
    house.engine = Unsure()
    changed = config("mark", instructions="Answer in rhymes.")
    async with house.open(changed) as http:
        first = (await asked(http))["sovereign"]["receipt"]["confidence"]
    assert first["unmeasured"] == "not_calibrated"
    both = [*labels(150, setting=first["setting"]), *labels(150, seed=2, setting=under())]
    made = calibrate(both, DIGEST, NO_ADAPTER).calibration
    await CalibrationStore(house.pool).put(made, "uid 0")
    for settings in (changed, config("mark")):
        async with house.open(settings) as http:
            assert (await asked(http))["sovereign"]["confidence"]["calibrated"] is True


async def test_a_calibration_of_an_earlier_release_reads_keeps_its_digest_and_fits_no_answer(house: Any) -> None:
    made = calibrate(labels(300, setting=under()), DIGEST, NO_ADAPTER).calibration
    older = made.model_copy(update={"settings": ()})
    assert "settings" not in json.loads(older.raw)
    await CalibrationStore(house.pool).put(older, "uid 0")
    assert [one.digest for one in await CalibrationStore(house.pool).all()] == [older.digest]
    house.engine = Unsure()
    async with house.open(config("abstain")) as http:
        told = (await asked(http))["sovereign"]["confidence"]
        async with house.pool.begin() as connection:  # who writes settings into it changes its digest: it is none then
            added = text("UPDATE calibration SET body = replace(body, :was, :now)")
            now = '"scales":{'
            await connection.execute(added, {"was": now, "now": f'"settings":["{under()}"],{now}'})
        changed = (await asked(http))["sovereign"]["confidence"]
    assert (told["value"], told["unmeasured"]) == (None, "other_setting")
    assert (changed["value"], changed["unmeasured"]) == (None, "not_calibrated")


async def test_the_management_port_says_of_each_group_whether_it_is_measured(house: Any) -> None:
    from appliance.gateway.management import create_management_app  # noqa: PLC0415 - only here

    made = await in_force(house)
    for settings, why in ((config(), None), (config(instructions="Answer in rhymes."), "other_setting")):
        async with house.open(settings):
            transport = httpx.ASGITransport(create_management_app(house.gateways[-1]))
            async with httpx.AsyncClient(transport=transport, base_url="http://management") as http:
                told = (await http.get("/confidence")).json()["groups"]
        assert [(one["group"], one["model"], one["documents"], one["unmeasured"]) for one in told] == [
            ("analysts", "small", False, why)
        ]
        assert told[0]["calibration"] == made.digest
