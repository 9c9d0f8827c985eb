"""The hierarchy is shown to who administers the site, once the log holds the look; names of groups to nobody else."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from appliance.engine.errors import EngineUnavailableError
from appliance.engine.protocol import Spared
from appliance.gateway import hierarchy_look
from appliance.gateway.looks import MOST
from appliance.gateway.management import create_management_app
from appliance.memory.extent import extent
from tests.audit.former import in_words
from tests.gateway.doubles import HELD
from tests.integration.gateway.conftest import Page
from tests.integration.gateway.test_answers_from_documents import ANSWER, PARKING, chat, housed
from tests.memory.library import House as Importing

if TYPE_CHECKING:
    from tests.integration.gateway.conftest import House

pytestmark = pytest.mark.anyio


@pytest.fixture
async def builder(client: httpx.AsyncClient, house: House) -> Page:
    house.door.guest = "builder"
    return await Page(client).sign_in()


async def seen(page: Page) -> dict[str, Any]:
    answer = await page.http.get("/api/memory")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


async def test_who_administers_sees_every_tier_and_the_log_says_so_before(builder: Page, house: House) -> None:
    house.engine.spared = (Spared("pinned", "group", 25), Spared("parked", "user", 3))
    body = {"model": "small", "messages": [{"role": "user", "content": "hello"}]}
    await builder.http.post("/v1/chat/completions", json=body, headers={"Authorization": "Bearer analyst"})
    found = await seen(builder)
    small, *_ = found["engines"]
    rows = {(row["tier"], row["scope"], row["group"], row["of"]): row for row in small["rows"]}
    assert (small["model"], small["state"], small["cells"]) == ("small", "running", 4096)
    assert rows["pinned", "site", None, None]["tokens"] == 40
    ours = rows["pinned", "group", "analysts", "one"]
    assert (ours["tokens"], ours["hits"], ours["tokens_saved"], ours["joules_saved"]) == (25, 1, 25, pytest.approx(0.5))
    assert rows["parked", "user", None, None]["tokens_saved"] == 3
    assert rows["disk", "group", None, "former"]["tokens"] == 70
    assert "dissolved" not in json.dumps(found)
    entry = house.log.of_kind("memory_read")[0]
    assert (in_words(entry)["activity_name"], entry["entity"]) == ("Read", {"name": "memory", "type": "figures"})
    assert entry["actor"]["user"]["groups"] == [{"name": "clerks"}]
    assert "sub-analyst" not in json.dumps(found)


@pytest.mark.parametrize("who", ["analyst", "clerk", "auditor"])
async def test_nobody_else_sees_anything_and_that_they_asked_is_logged(
    client: httpx.AsyncClient, house: House, who: str
) -> None:
    house.door.guest = who
    page = await Page(client).sign_in()
    answer = await page.http.get("/api/memory")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_an_admin")
    assert "rows" not in answer.text
    refusal = house.log.of_kind("refusal")[-1]
    assert (refusal["status_code"], refusal["api"]["operation"]) == ("not_an_admin", "memory")
    assert house.log.of_kind("memory_read") == []


async def test_who_is_not_signed_in_is_told_so(client: httpx.AsyncClient, house: House) -> None:
    assert (await client.get("/api/memory")).status_code == 401
    assert (await client.get("/api/memory", headers={"Authorization": "Bearer builder"})).status_code == 401
    assert house.log.of_kind("memory_read") == []


async def test_without_an_entry_nothing_is_shown(builder: Page, house: House) -> None:
    house.log.up = False
    answer = await builder.http.get("/api/memory")
    assert (answer.status_code, answer.json()["code"]) == (503, "audit_unavailable")


@pytest.mark.parametrize("headers", [{"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_another_sites_page_causes_no_look(builder: Page, house: House, headers: dict[str, str]) -> None:
    answer = await builder.http.get("/api/memory", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert house.log.of_kind("memory_read") == []


async def test_an_engine_that_is_stopped_or_says_nonsense_is_not_zero_and_hides_no_other(
    builder: Page, house: House
) -> None:
    house.engine.up = False

    async def nonsense() -> Any:
        raise EngineUnavailableError("it counts what cannot be")

    house.gateways[0].engines["large"].tiers = nonsense  # type: ignore[method-assign]
    found = await seen(builder)
    small, large, minilm = found["engines"]
    assert (small["state"], small["reason"], small["rows"]) == ("not_running", None, [])
    assert (large["state"], large["reason"]) == ("not_known", "it counts what cannot be")
    assert (minilm["state"], minilm["rows"]) == ("running", [])


async def test_an_engine_that_hangs_holds_up_nobody_for_longer_than_patience(
    builder: Page, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hierarchy_look, "PATIENCE_S", 0.2)

    async def hang() -> Any:
        await asyncio.Event().wait()

    house.gateways[0].engines["small"].tiers = hang  # type: ignore[method-assign]
    small, large, _ = (await seen(builder))["engines"]
    assert (small["state"], large["state"]) == ("not_known", "running")
    assert small["reason"] == "it does not say in time what its memory holds"


async def test_one_person_looks_once_at_a_time_and_few_looks_wait(builder: Page, house: House) -> None:
    go, asked = asyncio.Event(), 0

    async def wait() -> Any:
        nonlocal asked
        asked += 1
        await go.wait()
        return HELD

    house.gateways[0].engines["small"].tiers = wait  # type: ignore[method-assign]
    asking = [asyncio.create_task(builder.http.get("/api/memory")) for _ in range(MOST + 2)]
    done: set[Any] = set()
    while len(done) < 2:
        more, _ = await asyncio.wait(set(asking) - done, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        done |= more
    assert {task.result().status_code for task in done} == {429}
    assert asked == 1
    go.set()
    assert sorted([(await task).status_code for task in asking]) == [200] * MOST + [429] * 2


async def management(house: House, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(create_management_app(house.gateways[0]))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        return await http.get(path)


async def test_the_management_port_and_the_metrics_name_no_group_and_no_person(house: House) -> None:
    library = Importing(house.pool, house.embedding)
    await library.take("parking.txt", PARKING, "analysts", title="Parking")
    house.engine.words = (ANSWER,)
    house.engine.spared = (Spared("pinned", "group", 25), Spared("parked", "user", 3))
    async with house.open(housed()) as client:
        assert (await chat(client)).status_code == 200
        sums, metrics = await management(house, "/memory"), await management(house, "/metrics")
    said = sums.json()
    assert {(row["tier"], row["scope"]): row["tokens"] for row in said["models"]["small"]} == {
        ("pinned", "group"): 25,
        ("parked", "user"): 3,
    }
    assert (said["passages"], said["documents"], said["library"]["documents"]) == (1, 1, 1)
    assert 'sovereign_spared_tokens_total{model="small",tier="pinned"} 25.0' in metrics.text
    for body in (sums.text, metrics.text):
        assert not any(word in body for word in ("analysts", "clerks", "sub-analyst", "Parking"))


async def test_the_library_is_counted_by_groups_each_document_once(house: House) -> None:
    library = Importing(house.pool, house.embedding)
    await library.take("parking.txt", PARKING, "analysts", title="Parking")
    await library.take("safe.txt", "The safe opens at nine.", "clerks", title="Safe")
    await library.take("both.txt", "Everybody may read this one.", "analysts", "clerks", title="Both")
    await library.take("broken.pdf", b"%PDF-1.7 broken", "clerks", title="Broken")
    found = await extent(house.pool)
    assert {(part.group, part.documents, part.passages) for part in found.parts} == {
        ("analysts", 1, 1),
        ("clerks", 1, 1),
        (None, 1, 1),
    }
    assert sum(part.characters for part in found.parts) == len(PARKING) + len("The safe opens at nine.") + len(
        "Everybody may read this one."
    )
    assert found.size > 0
    assert all(part.oldest == part.newest for part in found.parts)


async def test_a_database_that_does_not_answer_leaves_the_library_unknown(
    builder: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(_engine: Any) -> Any:
        raise OperationalError("select", None, Exception("canceling statement due to statement timeout"))

    monkeypatch.setattr(hierarchy_look, "extent", down)
    found = await seen(builder)
    assert (found["library"]["known"], found["library"]["rows"]) == (False, [])
    assert found["engines"][0]["state"] == "running"


async def test_a_library_that_is_locked_is_unknown_before_patience_ends(house: House) -> None:
    counting = hierarchy_look.Counting(house.pool)
    assert await counting.extent() is not None
    async with house.pool.begin() as other:
        await other.execute(text("LOCK TABLE document IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(OperationalError, match="statement timeout"):
            await asyncio.wait_for(extent(house.pool), hierarchy_look.PATIENCE_S)
    assert await counting.extent() is not None
