"""Experts of a group see what it is told and change that; nobody else does, and each act is in the log before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from appliance.cli.memory_night import Waiting
from tests.gateway.doubles import principal
from tests.integration.gateway.conftest import Page
from tests.integration.gateway.test_briefs import BAY, CANTEEN, PARKING, SAFE, VISIT
from tests.integration.gateway.test_experts import acts_of, as_
from tests.memory.library import House as Importing
from tests.memory.nights import Bed, briefed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.gateway.conftest import House

pytestmark = pytest.mark.anyio


@pytest.fixture
def bed(house: House, tmp_path: Path) -> Bed:
    return Bed(house.pool, tmp_path)


@pytest.fixture
async def library(house: House) -> Importing:
    found = Importing(house.pool, house.embedding)
    await found.take("parking.txt", PARKING, "analysts", title="Parking")
    await found.take("safe.txt", SAFE, "clerks", title="Safe")
    return found


@pytest.fixture
async def expert(house: House, library: Importing) -> AsyncIterator[Page]:
    assert library
    async with house.open(briefed()) as opened:
        yield await as_(Page(opened), house, "officer")


async def groups(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await page.http.get("/api/expert/briefs")).json()["groups"]
    return found


async def test_an_expert_sees_each_sentence_with_its_source_and_what_is_new(
    expert: Page, house: House, bed: Bed, library: Importing
) -> None:
    (before,) = await groups(expert)
    assert (before["name"], before["in_force"], before["waiting"], before["last"]) == ("analysts", None, None, None)
    await bed.night()
    await library.take("canteen.txt", CANTEEN, "analysts", title="Canteen")
    bed.verdict = Waiting("few cases")
    await bed.night()
    (found,) = await groups(expert)
    assert [one["text"] for one in found["in_force"]["lines"]] == [BAY, VISIT]
    assert {one["text"]: one["new"] for one in found["waiting"]["lines"]} == {BAY: False, VISIT: False, CANTEEN: True}
    assert {one["above"] for one in found["in_force"]["lines"]} == {"Parking"}
    assert SAFE not in str(found)
    assert house.log.of_kind("expert_act")[-1]["entity"] == {"name": "analysts", "type": "brief"}


async def test_an_expert_accepts_strikes_and_takes_back(expert: Page, house: House, bed: Bed) -> None:
    bed.verdict = Waiting("few cases")
    run = await bed.night()
    place = f"/api/expert/briefs/{run.id}"
    accepted = await expert.http.post(f"{place}/acceptance", headers=expert.headers)
    assert (accepted.status_code, await bed.told()) == (200, [BAY, VISIT])
    assert (await expert.http.post(f"{place}/acceptance", headers=expert.headers)).status_code == 409
    (found,) = await groups(expert)
    line = next(one["id"] for one in found["in_force"]["lines"] if one["text"] == BAY)
    struck = await expert.http.delete(f"{place}/lines/{line}", headers=expert.headers)
    assert (struck.status_code, await bed.told()) == (200, [VISIT])
    assert struck.json()["digest"] != accepted.json()["digest"]
    assert (await expert.http.delete(f"{place}/lines/{line}", headers=expert.headers)).status_code == 404
    assert (await expert.http.delete(place, headers=expert.headers)).json() == {"digest": None}
    assert await bed.told() == []
    assert (await expert.http.delete(place, headers=expert.headers)).status_code == 404
    assert acts_of(house) == [("Update", "brief"), ("Delete", "brief"), ("Delete", "brief")]


@pytest.mark.parametrize("who", ["clerk", "stranger", "expert of others", "no expert"])
async def test_who_is_no_expert_of_the_group_sees_and_changes_nothing(
    who: str, expert: Page, house: House, bed: Bed
) -> None:
    run = await bed.night()
    house.door.people["expert of others"] = principal("outsider", "clerks", roles=("expert",))
    house.door.people["no expert"] = principal("custodian", "analysts")
    (found,) = await groups(expert)
    line = found["in_force"]["lines"][0]["id"]
    page = await as_(expert, house, who)
    place = f"/api/expert/briefs/{run.id}"
    listed = await page.http.get("/api/expert/briefs")
    assert BAY not in listed.text
    tried = [
        await page.http.post(f"{place}/acceptance", headers=page.headers),
        await page.http.delete(f"{place}/lines/{line}", headers=page.headers),
        await page.http.delete(place, headers=page.headers),
    ]
    assert {one.status_code for one in tried} <= {403, 404}
    assert await bed.told() == [BAY, VISIT]
    assert acts_of(house) == []


async def test_nothing_holds_that_the_log_did_not_take(expert: Page, house: House, bed: Bed) -> None:
    run = await bed.night()
    (found,) = await groups(expert)
    line = found["in_force"]["lines"][0]["id"]
    house.log.up = False
    place = f"/api/expert/briefs/{run.id}"
    assert (await expert.http.get("/api/expert/briefs")).status_code == 503
    assert (await expert.http.delete(f"{place}/lines/{line}", headers=expert.headers)).status_code == 503
    assert (await expert.http.delete(place, headers=expert.headers)).status_code == 503
    assert await bed.told() == [BAY, VISIT]


async def test_another_sites_page_strikes_nothing(expert: Page, bed: Bed) -> None:
    run = await bed.night()
    foreign = {**expert.headers, "Origin": "http://outside.example", "Sec-Fetch-Site": "cross-site"}
    assert (await expert.http.delete(f"/api/expert/briefs/{run.id}", headers=foreign)).status_code == 403
    assert (await expert.http.delete(f"/api/expert/briefs/{run.id}")).status_code == 403
    assert await bed.told() == [BAY, VISIT]
