"""A change goes to a share of a group, receipts say so, and it goes back by itself where its people fare worse."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from appliance.gateway.errors import ConflictError, NotReadyError
from appliance.gateway.evaluation import HEADER
from appliance.gateway.rollout_store import end_kept
from appliance.gateway.schema import rollout
from appliance.gateway.upkeep import ROLLOUT_SECONDS
from appliance.identity.tokens import Principal
from tests.integration.gateway.rollout_bed import NEW, OLD, Rolling, ask, config, under
from tests.integration.gateway.rollouts_begun import api, decisions, harm, rolling, watch

if TYPE_CHECKING:
    import httpx

    from tests.integration.gateway.conftest import House

pytestmark = pytest.mark.anyio
__all__ = ["api", "rolling"]


async def test_people_of_both_arms_are_answered_under_their_pack_and_receipt_and_log_say_which(
    house: House, rolling: Rolling, api: httpx.AsyncClient
) -> None:
    new, old = rolling.person(0.1, new=True), rolling.person(0.1, new=False)
    assert await under(api, new) == (NEW.digest, "new")
    assert await under(api, old) == (OLD.digest, "old")
    entries = [one["unmapped"]["sovereign"]["rollout"] for one in house.log.of_kind("answer")]
    assert entries == [f"{rolling.number} new", f"{rolling.number} old"]
    scopes = {(one.messages or ())[0].scope for one in house.engine.requests}
    assert scopes == {"group"}
    assert {one.group for one in house.engine.requests} == {"analysts"}


async def test_other_groups_notice_nothing(house: House, api: httpx.AsyncClient) -> None:
    assert await under(api, "clerk") == ("none", None)
    assert "rollout" not in house.log.of_kind("answer")[-1]["unmapped"]["sovereign"]


async def test_a_person_cannot_choose_the_arm(rolling: Rolling, api: httpx.AsyncClient) -> None:
    old = rolling.person(0.1, new=False)
    for header in ("X-Sovereign-Rollout", "X-Sovereign-Arm", "X-Request-Id"):
        assert await under(api, old, **{header: "new"}) == (OLD.digest, "old")
    for header in ("X-Sovereign-Pack", "X-Sovereign-Group"):
        assert (await ask(api, old, **{header: NEW.digest})).status_code == 403
    seen = {await under(api, old) for _ in range(3)}
    assert seen == {(OLD.digest, "old")}


async def test_programs_stay_in_the_old_arm_and_in_no_comparison(
    house: House, rolling: Rolling, api: httpx.AsyncClient
) -> None:
    for number in range(12):
        name = f"robot{number}"
        program = Principal(
            sub=f"sub-{name}",
            username=name,
            groups=("analysts",),
            roles=(),
            session_id=None,
            client_id="robot",
            expires_at=int(time.time()) + 300,
        )
        house.door.people[name] = program
        assert await under(api, name) == (OLD.digest, "old")
    house.door.people["evaluator"] = Principal(
        "sub-evaluator", "evaluator", ("analysts", "clerks"), (), None, "evaluator", int(time.time()) + 300
    )
    assert await under(api, "evaluator", **{HEADER: "analysts"}) == (OLD.digest, "old")
    assert await rolling.store.rows(await rolling.now()) == []


async def test_harm_takes_it_back_by_itself_and_the_entry_has_the_figures(
    house: House, rolling: Rolling, api: httpx.AsyncClient
) -> None:
    await harm(rolling, api)
    new = rolling.person(0.1, new=True)
    assert (await under(api, new))[0] == NEW.digest
    await watch(house).look()
    (said,) = decisions(house)
    assert said["act"] == "back"
    assert said["evidence"] >= said["threshold"] == 40
    assert "fare worse beyond noise" in said["reason"]
    assert "down 8" in said["new"]
    assert "down 0" in said["old"]
    assert (said["former"], said["change"]) == (OLD.digest, NEW.digest)
    assert await under(api, new) == (OLD.digest, None)
    found = await rolling.now()
    assert (found.state, (found.figures or {})["reason"]) == ("back", said["reason"])
    assert await house.count("rollout_answer") == 0
    await watch(house).look()
    assert len(decisions(house)) == 1


async def test_it_is_looked_at_often_enough_to_be_back_within_a_minute() -> None:
    assert ROLLOUT_SECONDS * 2 <= 60


async def test_where_both_arms_fare_alike_it_goes_on_running(
    house: House, rolling: Rolling, api: httpx.AsyncClient
) -> None:
    for new in (True, False):
        for who in rolling.people(6, 0.1, new=new):
            await ask(api, who)
            await rolling.mark(who)
    await watch(house).look()
    assert decisions(house) == []
    assert (await rolling.now()).state == "running"


async def test_a_thousand_marks_of_one_person_are_one_observation(
    house: House, rolling: Rolling, api: httpx.AsyncClient
) -> None:
    one = rolling.person(0.1, new=True)
    for _ in range(30):
        await ask(api, one)
    for _ in range(1000 // 30):
        await rolling.mark(one)
    for who in rolling.people(10, 0.1, new=False):
        await ask(api, who)
    await watch(house).look()
    assert (await rolling.now()).state == "running"
    rows = await rolling.store.rows(await rolling.now())
    assert sum(row.new for row in rows) == 30


async def test_an_entry_that_cannot_be_written_takes_nothing_back_and_the_next_look_does(
    house: House, rolling: Rolling, api: httpx.AsyncClient
) -> None:
    await harm(rolling, api)
    house.log.refuse_kinds = frozenset({"rollout_decision"})
    await watch(house).look()
    assert (await rolling.now()).state == "running"
    assert decisions(house) == []
    house.log.refuse_kinds = frozenset()
    await watch(house).look()
    assert (await rolling.now()).state == "back"
    assert len(decisions(house)) == 1


@pytest.mark.parametrize("step", ["decided", "entered"])
async def test_a_gateway_that_is_killed_in_the_middle_leaves_one_entry_and_the_same_decision(
    house: House, rolling: Rolling, api: httpx.AsyncClient, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harm(rolling, api)
    first = watch(house)
    written = first.ledger.rollout_decided

    async def cut(*args: Any, **about: Any) -> Any:
        if step == "entered":
            await written(*args, **about)
        raise NotReadyError("killed here")

    with monkeypatch.context() as patched:
        patched.setattr(first.ledger, "rollout_decided", cut)
        await first.look()
    found = await rolling.now()
    assert (found.state, found.verdict is not None) == ("running", True)
    for who in rolling.people(3, 0.1, new=True):  # what happens meanwhile changes no figure of the decision
        await ask(api, who)
    async with house.open(config()):
        await watch(house).look()
    assert (await rolling.now()).state == "back"
    ids = [one for one, event in house.log.entries if "rollout/" in one]
    assert found.verdict is not None
    assert ids == [f"gateway/rollout/{rolling.number}/0/back/{found.verdict['at']}"]
    assert decisions(house) == [{**found.verdict["figures"]}]


async def test_a_database_put_back_to_before_a_decision_decides_anew(
    house: House, rolling: Rolling, api: httpx.AsyncClient
) -> None:
    await harm(rolling, api)
    await watch(house).look()
    await rolling.lost("UPDATE rollout SET state = 'running'")
    await harm(rolling, api, 9)
    await watch(house).look()
    assert (await rolling.now()).state == "back"
    assert len(decisions(house)) == 2


async def test_harm_seen_while_a_step_on_waits_for_the_log_takes_it_back_instead(
    house: House, rolling: Rolling, api: httpx.AsyncClient
) -> None:
    await harm(rolling, api)
    on = {"act": "on", "at": "2026-01-01T00:00:00+00:00", "figures": {"reason": "time"}}
    async with house.pool.begin() as connection:
        await connection.execute(update(rollout).values(verdict=on))
    await watch(house).look()
    assert [one["act"] for one in decisions(house)] == ["back"]
    assert (await rolling.now()).state == "back"


async def test_a_row_that_makes_no_sense_ends_neither_the_gateway_nor_the_look_at_others(
    house: House, rolling: Rolling, api: httpx.AsyncClient
) -> None:
    await harm(rolling, api)
    other = Rolling(house)
    found = replace(await rolling.now(), id=other.number, group="clerks", kind="brief", change="no id")
    await other.store.begin(found)
    await rolling.lost("UPDATE rollout SET created = now() - interval '1 hour' WHERE group_name = 'clerks'")
    await watch(house).look()
    assert (await rolling.now()).state == "back"


async def test_a_stage_that_is_none_cannot_be_written(rolling: Rolling, api: httpx.AsyncClient) -> None:
    del api
    for stage in (-1, 3):
        with pytest.raises(IntegrityError):
            await rolling.lost(f"UPDATE rollout SET stage = {stage}")


async def test_who_asked_very_often_is_kept_by_their_first_and_last_answers(
    rolling: Rolling, api: httpx.AsyncClient
) -> None:
    del api
    values: dict[str, Any] = {"rollout_id": rolling.number, "stage": 0, "new": True, "drawn": True, "subject": "a"}
    values |= {"outcome": "stop", "first_token_s": None, "seconds": 1.0, "tokens": 1, "joules": 0.0}
    for number in range(9):
        await rolling.store.note({**values, "request_id": f"{number}", "tokens": number}, most=2)
    assert [row.tokens for row in await rolling.store.rows(await rolling.now())] == [0, 1, 7, 8]


async def test_what_was_decided_to_go_back_is_not_kept(house: House, rolling: Rolling, api: httpx.AsyncClient) -> None:
    del api
    async with house.pool.begin() as connection:
        await connection.execute(update(rollout).values(verdict={"act": "back"}))
    with pytest.raises(ConflictError, match="goes back"):
        async with house.pool.begin() as connection:
            await end_kept(connection, rolling.number, {})
    assert (await rolling.now()).state == "running"


async def test_status_tells_what_is_rolled_out(house: House, rolling: Rolling, api: httpx.AsyncClient) -> None:
    del rolling, api
    standing = await house.gateways[-1].packs.standing(["analysts", "clerks"])
    assert standing["analysts"]["rollout"] == {"kind": "pack", "percent": 10}
    assert "rollout" not in standing["clerks"]


async def test_two_gateways_decide_once(house: House, rolling: Rolling, api: httpx.AsyncClient) -> None:
    await harm(rolling, api)
    async with house.open(config()):
        await asyncio.gather(*(gateway.watch.look() for gateway in house.gateways for _ in range(4)))
        await watch(house).look()
    assert len(decisions(house)) == 1
    assert (await rolling.now()).state == "back"


async def test_failures_of_the_new_arm_end_it_without_any_statistics(
    house: House, rolling: Rolling, api: httpx.AsyncClient
) -> None:
    new = rolling.person(0.1, new=True)
    for _ in range(5):
        assert (await ask(api, new, "break")).status_code == 503
    await watch(house).look()
    assert "5 of the new arm's last 20 answers failed" in decisions(house)[0]["reason"]
    assert await under(api, new) == (OLD.digest, None)


async def test_failures_of_both_arms_are_the_engines_and_end_nothing(
    house: House, rolling: Rolling, api: httpx.AsyncClient
) -> None:
    both = [rolling.person(0.1, new=new) for new in (True, False)]
    for _ in range(6):
        for who in both:
            await ask(api, who, "break")
    for _ in range(20):  # the engine is well again, and the old arm's many answers say so first
        await ask(api, both[1])
    await watch(house).look()
    assert (await rolling.now()).state == "running"
