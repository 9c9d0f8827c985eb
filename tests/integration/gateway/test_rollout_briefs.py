"""A brief of the night goes to a share of the group first: told to them alone, kept for all, or gone for good."""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from appliance.cli import rollout_nights
from appliance.cli.learn_rollout import _ends
from appliance.cli.rollout_nights import SiteStage
from appliance.gateway.rollout_store import RolloutStore
from appliance.gateway.rollout_values import NOTHING
from appliance.gateway.schema import rollout
from tests.gateway.doubles import principal
from tests.integration.gateway.rollout_bed import Rolling, ask
from tests.memory.library import House as Importing
from tests.memory.nights import REFUSED, Bed, briefed

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.gateway.rollout_values import Rollout
    from tests.integration.gateway.conftest import House

pytestmark = pytest.mark.anyio
PARKING = "Visitors may park in bay seven of the yard. A visit lasts at most ninety minutes."
CANTEEN = "The canteen serves lunch at noon on working days."
SETTINGS = {"settle_minutes": 0, "of_person": 1, "people": 1, "answers": 1}
CONFIG = briefed(memory={"compile": {"staged": True}}, learning={"rollout": SETTINGS})


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was put into the log about rollouts."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(rollout_nights, "enter", lambda *_, **about: found.append(about))
    return found


@pytest.fixture
async def library(house: House) -> Importing:
    found = Importing(house.pool, house.embedding)
    await found.take("parking.txt", PARKING, "analysts", title="Parking")
    return found


@pytest.fixture
def bed(house: House, tmp_path: Path, entered: list[dict[str, Any]]) -> Bed:
    del entered
    made = Bed(house.pool, tmp_path, config=CONFIG)
    made.stage = SiteStage(made.desk)
    return made


async def of(house: House) -> Rollout:
    (found,) = await RolloutStore(house.pool).all_running()
    return found


async def half(house: House) -> Rolling:
    """The rollout at half of the group, so that both arms have people."""
    async with house.pool.begin() as connection:
        await connection.execute(update(rollout).values(stage=1))
    return Rolling(house, (await of(house)).id)


async def told(house: House, who: str, **body: Any) -> tuple[str, Any]:
    """What the model was told first, and which rollout the receipt names."""
    async with house.open(CONFIG) as api:
        answer = await ask(api, who, **body)
    assert answer.status_code == 200, answer.text
    first = (house.engine.requests[-1].messages or ())[0]
    receipt = answer.json()["sovereign"]["receipt"]
    return (first.content if first.role == "system" else ""), receipt.get("rollout", {}).get("arm")


async def second_night(bed: Bed, library: Importing) -> Rollout:
    """A brief in force for all, and a newer one on its way."""
    staged, bed.stage = bed.stage, None
    bed.config = briefed()
    assert (await bed.night()).state == "in_force"
    bed.config, bed.stage = CONFIG, staged
    await library.take("canteen.txt", CANTEEN, "analysts", title="Canteen")
    run = await bed.night()
    assert run.state == "judged"
    (found,) = await RolloutStore(bed.pool).all_running()
    assert found.change == str(run.id)
    return found


async def test_a_night_gives_its_brief_to_a_share_and_the_others_are_told_that_of_before(
    house: House, bed: Bed, library: Importing, entered: list[dict[str, Any]]
) -> None:
    found = await second_night(bed, library)
    (said,) = entered
    assert (said["what"], said["target"], said["figures"]["percent"]) == ("rollout", str(found.id), 10)
    rolling = await half(house)
    new, old = rolling.person(0.5, new=True), rolling.person(0.5, new=False)
    words, arm = await told(house, new)
    assert CANTEEN in words
    assert arm == "new"
    words, arm = await told(house, old)
    assert CANTEEN not in words
    assert "bay seven" in words
    assert arm == "old"
    assert CANTEEN not in " ".join(await bed.told())


async def test_while_it_is_on_its_way_nights_choose_nothing(bed: Bed, library: Importing) -> None:
    found = await second_night(bed, library)
    await library.take("safe.txt", "The safe opens at nine every working day.", "analysts", title="Safe")
    judged = len(bed.judged)
    assert str((await bed.night()).id) == found.change
    assert len(bed.judged) == judged


async def test_harm_takes_it_back_and_no_later_night_tells_it_again(house: House, bed: Bed, library: Importing) -> None:
    found = await second_night(bed, library)
    rolling = await half(house)
    async with house.open(CONFIG) as api:
        for new in (True, False):
            for who in rolling.people(12, 0.5, new=new):
                await ask(api, who)
                if new:
                    await rolling.mark(who)
        async with house.pool.begin() as connection:
            await connection.execute(update(rollout).values(stage=1))
        await house.gateways[-1].watch.look()
    assert await RolloutStore(house.pool).all_running() == ()
    (said,) = [one["unmapped"]["sovereign"]["figures"] for one in house.log.of_kind("rollout_decision")]
    assert (said["act"], said["kind"], said["change"]) == ("back", "brief", found.change)
    words, arm = await told(house, "analyst")
    assert CANTEEN not in words
    assert arm is None
    run = await bed.night()
    assert (run.state, run.cause) == ("empty", "nothing changed")
    assert CANTEEN not in " ".join(await bed.told())


async def test_it_is_kept_in_one_transaction_with_the_end_of_the_rollout(
    house: House, bed: Bed, library: Importing
) -> None:
    found = await second_night(bed, library)
    before = (await bed.store.one(uuid.UUID(found.change), ["analysts"])).run

    async def fails(_: Any) -> None:
        raise RuntimeError("cut off here")

    with pytest.raises(RuntimeError):
        await bed.store.put_in_force(before, within=fails)
    assert (await of(house)).state == "running"
    assert CANTEEN not in " ".join(await bed.told())
    await bed.store.put_in_force(before, within=partial(_ends, found, {}))
    assert await RolloutStore(house.pool).all_running() == ()
    assert CANTEEN in await bed.told()


@pytest.mark.parametrize("how", ["taken back", "deleted"])
async def test_what_people_do_to_either_brief_meanwhile_ends_it(
    house: House, bed: Bed, library: Importing, how: str
) -> None:
    found = await second_night(bed, library)
    if how == "taken back":
        await bed.back()
    else:
        async with house.pool.begin() as connection:
            await connection.exec_driver_sql(f"DELETE FROM brief WHERE id = '{found.change}'")
    async with house.open(CONFIG):
        await house.gateways[-1].watch.look()
    assert await RolloutStore(house.pool).all_running() == ()
    assert (await RolloutStore(house.pool).listed(["analysts"]))[0].state == "back"


async def test_a_line_that_is_struck_is_gone_from_both_arms(house: House, bed: Bed, library: Importing) -> None:
    await second_night(bed, library)
    rolling = await half(house)
    people = [rolling.person(0.5, new=new) for new in (True, False)]
    in_force = await bed.store.in_force("analysts")
    assert in_force is not None
    line = in_force.lines[0]
    from appliance.memory.briefs import fingerprint  # noqa: PLC0415 - as `memory brief strike` does

    words = fingerprint("analysts", line.spot.source, line.text)
    await bed.store.strike(in_force.run.id, "analysts", words)
    for who in people:
        assert line.text not in (await told(house, who))[0]


async def test_a_group_that_was_told_nothing_begins_with_a_share_too(
    house: House, bed: Bed, library: Importing
) -> None:
    del library
    assert (await bed.night()).state == "judged"
    assert (await of(house)).former == NOTHING
    rolling = await half(house)
    assert "bay seven" in (await told(house, rolling.person(0.5, new=True)))[0]
    assert "bay seven" not in (await told(house, rolling.person(0.5, new=False)))[0]


async def test_what_the_gate_refuses_is_given_to_nobody(house: House, bed: Bed, library: Importing) -> None:
    del library
    bed.verdict = REFUSED
    assert (await bed.night()).state == "refused"
    assert await RolloutStore(house.pool).all_running() == ()


async def test_an_answer_of_the_new_arm_may_go_to_the_groups_experts(
    house: House, bed: Bed, library: Importing
) -> None:
    from tests.integration.gateway.conftest import Page  # noqa: PLC0415 - one test of a page

    await second_night(bed, library)
    rolling = await half(house)
    house.door.guest = rolling.person(0.5, new=True)
    house.door.people[house.door.guest] = principal(house.door.guest, "analysts")
    async with house.open(CONFIG) as http:
        page = await Page(http).sign_in()
        conversation = await page.conversation()
        await page.ask(conversation, "where?")
        await house.answers_are_over()
        message = (await page.read(conversation))["messages"][-1]["id"]
        assert (await http.get(f"/api/messages/{message}/feedback")).json() == {"groups": ["analysts"]}
