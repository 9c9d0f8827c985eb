"""A rollout goes as far as the operator's record permits, in stages, and what is counted of people is theirs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from appliance.gateway.errors import ConflictError
from appliance.gateway.people import People
from appliance.gateway.pseudonyms import subject_of
from appliance.identity.tokens import Principal
from appliance.packs.permits import FILE, write_permits
from tests.gateway.doubles import principal
from tests.integration.gateway.conftest import KEYS, Page
from tests.integration.gateway.rollout_bed import NEW, OLD, Rolling, ask, choose, config, under
from tests.integration.gateway.rollouts_begun import api, decisions, rolling, watch

if TYPE_CHECKING:
    import httpx

    from tests.integration.gateway.conftest import House

pytestmark = pytest.mark.anyio
__all__ = ["api", "rolling"]


def _gone(house: House) -> None:
    (house.packs / FILE).unlink()


def _damaged(house: House) -> None:
    (house.packs / FILE).write_text("{")


def _none(house: House) -> None:
    write_permits(house.packs, {})


def _pack_gone(house: House) -> None:
    (house.packs / f"{NEW.digest.removeprefix('sha256:')}.pack").unlink()


@pytest.mark.parametrize("lose", [_gone, _damaged, _none])
async def test_what_the_record_does_not_permit_answers_nobody_and_goes_back_by_itself(
    house: House, rolling: Rolling, api: httpx.AsyncClient, lose: Any
) -> None:
    both = [rolling.person(0.1, new=new) for new in (True, False)]
    lose(house)
    for who in both:
        refused = await ask(api, who)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "pack_unavailable")
    assert (await ask(api, "clerk")).status_code == 200
    standing = await house.gateways[-1].packs.standing(["analysts", "clerks"])
    assert (standing["analysts"]["refused"] is not None, standing["clerks"]["refused"]) == (True, None)
    await watch(house).look()
    assert [await under(api, who) for who in both] == [(OLD.digest, None)] * 2
    assert len(decisions(house)) == 1


async def test_a_pack_that_is_not_there_any_more_goes_back_and_answers_nobody_before(
    house: House, rolling: Rolling, api: httpx.AsyncClient
) -> None:
    new = rolling.person(0.1, new=True)
    _pack_gone(house)
    assert (await ask(api, new)).status_code == 503
    await watch(house).look()
    assert "is not there any more" in decisions(house)[0]["reason"]
    assert await under(api, new) == (OLD.digest, None)


async def test_a_database_that_says_more_than_the_record_permits_answers_nobody(
    house: House, rolling: Rolling, api: httpx.AsyncClient
) -> None:
    await rolling.lost("UPDATE rollout SET stage = 2")
    assert (await ask(api, rolling.person(0.1, new=False))).status_code == 503
    await watch(house).look()
    assert "permits a rollout to 10 percent" in decisions(house)[0]["reason"]


async def test_another_pack_in_force_ends_it(house: House, rolling: Rolling, api: httpx.AsyncClient) -> None:
    await choose(house, "analysts", "none")
    assert (await ask(api, rolling.person(0.1, new=True))).status_code == 503
    await watch(house).look()
    assert "another pack is in force" in decisions(house)[0]["reason"]
    assert (await ask(api, rolling.person(0.1, new=True))).status_code == 200


async def test_everybody_follows_in_the_last_stage_programs_too(house: House, rolling: Rolling) -> None:
    await rolling.begin(stage=2)
    async with house.open(config()) as api:
        house.door.people["robot"] = Principal(
            "sub-robot", "robot", ("analysts",), (), None, "robot", int(time.time()) + 300
        )
        assert await under(api, "robot") == (NEW.digest, "new")
        assert await under(api, "analyst") == (NEW.digest, "new")
        for _ in range(5):
            await ask(api, "analyst", "break")
        await watch(house).look()
        assert await under(api, "analyst") == (OLD.digest, None)


async def test_by_time_it_goes_on_only_where_the_site_says_so_and_enough_was_seen(
    house: House, rolling: Rolling
) -> None:
    await rolling.begin(permit=100)
    async with house.open(config()) as api:
        for who in rolling.people(3, 0.1, new=True):
            await ask(api, who)
        await rolling.ago(hours=2)
        await watch(house).look()
        assert (await rolling.now()).stage == 0  # by hand
    async with house.open(config(advances="by-itself")) as api:
        await watch(house).look()
        assert (await rolling.now()).stage == 1
        await rolling.ago(hours=2)
        await watch(house).look()
        assert (await rolling.now()).stage == 1  # nobody was seen in this stage
        assert [one["act"] for one in decisions(house)] == ["on"]
        assert await under(api, rolling.person(0.5, new=True)) == (NEW.digest, "new")


async def test_by_time_it_goes_no_further_than_the_operators_record_permits(house: House, rolling: Rolling) -> None:
    await rolling.begin()
    async with house.open(config(advances="by-itself")) as api:
        for who in rolling.people(3, 0.1, new=True):
            await ask(api, who)
        await rolling.ago(hours=2)
        await watch(house).look()
        assert ((await rolling.now()).stage, decisions(house)) == (0, [])


async def test_one_rollout_of_a_group_at_a_time(rolling: Rolling, house: House, api: httpx.AsyncClient) -> None:
    del api
    with pytest.raises(ConflictError, match="a rollout runs in analysts already"):
        await Rolling(house).begin()
    assert (await rolling.now()).state == "running"


async def test_what_is_counted_of_a_person_is_given_to_them_and_goes_with_them(
    house: House, rolling: Rolling, api: httpx.AsyncClient
) -> None:
    who = rolling.person(0.1, new=True)
    await ask(api, who, "the xylographer")
    people = People(house.pool, house.gateways[-1].conversations)
    subject = subject_of(f"sub-{who}", KEYS.pseudonym)
    (row,) = (await people.export(subject))["rollouts"]
    assert row["new"] is True
    assert "xylographer" not in str(row)
    await people.erase(subject)
    assert await house.count("rollout_answer") == 0


async def test_a_mark_on_the_page_counts_once_an_answer_and_is_taken_back_with_it(
    house: House, rolling: Rolling
) -> None:

    await rolling.begin()
    house.door.guest = rolling.person(0.1, new=True)
    house.door.people[house.door.guest] = principal(house.door.guest, "analysts")
    async with house.open(config()) as http:
        page = await Page(http).sign_in()
        conversation = await page.conversation()
        await page.ask(conversation, "how is marmalade made?")
        await house.answers_are_over()
        message = (await page.read(conversation))["messages"][-1]["id"]
        path = f"/api/messages/{message}/feedback"
        for verdict in ("down", "up", "down"):
            await http.put(path, json={"verdict": verdict}, headers=page.headers)
        (row,) = await rolling.store.rows(await rolling.now())
        assert (row.verdict, row.marked is not None) == ("down", True)
        await http.delete(path, headers=page.headers)
        (row,) = await rolling.store.rows(await rolling.now())
        assert (row.verdict, row.marked) == (None, None)
        await page.ask(conversation, "how is marmalade made?")
        await house.answers_are_over()
        assert [one.repeated for one in await rolling.store.rows(await rolling.now())] == [False, True]
