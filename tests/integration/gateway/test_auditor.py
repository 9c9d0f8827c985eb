"""The log is shown to auditors only, and nothing is shown, or refused, that the log does not hold first."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit.errors import AuditUnavailableError, EntryRefusedError
from appliance.audit.search import Wanted
from appliance.gateway.looks import MOST
from tests.integration.gateway.conftest import Page

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.anyio
PATHS = ("state", "entries", "figures", "export?first=0&last=0")


@pytest.fixture
async def auditor(client: httpx.AsyncClient, house: Any) -> Page:
    house.door.guest = "auditor"
    return await Page(client).sign_in()


@pytest.mark.parametrize("path", PATHS)
async def test_an_auditor_sees_it_and_the_log_says_so_before(auditor: Page, house: Any, path: str) -> None:
    held: list[str] = []
    house.reader.watch = lambda: held.extend(house.log.kinds())
    assert (await auditor.http.get(f"/api/audit/{path}")).status_code == 200
    assert len(house.reader.asked) == 1
    assert held[-1:] == ["log_read"]
    entry = house.log.of_kind("log_read")[0]
    assert entry["entity"]["name"] == path.partition("?")[0]
    assert entry["actor"]["user"]["groups"] == [{"name": "auditors"}]


@pytest.mark.parametrize("path", PATHS)
async def test_nobody_else_sees_anything_and_that_they_asked_is_logged(page: Page, house: Any, path: str) -> None:
    answer = await page.http.get(f"/api/audit/{path}")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_an_auditor")
    assert house.reader.asked == []
    refusal = house.log.of_kind("refusal")[-1]
    assert refusal["status_code"] == "not_an_auditor"
    assert refusal["api"]["operation"] == path.partition("?")[0]


async def test_who_is_not_signed_in_is_told_so(client: httpx.AsyncClient, house: Any) -> None:
    assert (await client.get("/api/audit/entries")).status_code == 401
    assert house.reader.asked == []


@pytest.mark.parametrize("path", PATHS)
async def test_without_an_entry_nothing_is_shown(auditor: Page, house: Any, path: str) -> None:
    house.log.up = False
    answer = await auditor.http.get(f"/api/audit/{path}")
    assert (answer.status_code, answer.json()["code"]) == (503, "audit_unavailable")
    assert house.reader.asked == []


async def test_filters_reach_the_log_as_they_were_meant_and_are_logged(auditor: Page, house: Any) -> None:
    query = {"since": "2026-11-01", "until": "2026-11-02", "kind": "refusal", "group": "clerks", "before": "77"}
    await auditor.http.get("/api/audit/entries", params={**query, "subject": "", "unknown": "x"})
    begin, end = (int(datetime(2026, 11, day, tzinfo=UTC).timestamp() * 1000) for day in (1, 3))
    assert house.reader.asked == [("search", Wanted(begin, end, kind="refusal", group="clerks"), 77, 50)]
    assert house.log.of_kind("log_read")[0]["unmapped"]["sovereign"]["asked"] == {**query, "before": 77}


@pytest.mark.parametrize("name", ["group", "model"])
async def test_a_name_that_the_site_does_not_know_is_looked_for_and_not_written_down(
    auditor: Page, house: Any, name: str
) -> None:
    assert (await auditor.http.get("/api/audit/entries", params={name: "jane.doe"})).status_code == 200
    assert getattr(house.reader.asked[0][1], name) == "jane.doe"
    told = house.log.of_kind("log_read")[0]["unmapped"]["sovereign"]["asked"][name]
    assert told == f"sha256:{hashlib.sha256(b'jane.doe').hexdigest()}"
    assert "jane" not in str(house.log.entries)


@pytest.mark.parametrize(
    "query",
    [
        "subject=jane doe",
        "subject=jane",
        "kind=what jane did",
        "kind=janes",
        "outcome=Jane",
        "outcome=fired for theft on monday",
        "group=Jane Doe",
        "group=jane@example",
        "model=a b",
    ],
)
async def test_what_somebody_types_gets_into_no_entry(auditor: Page, house: Any, query: str) -> None:
    answer = await auditor.http.get(f"/api/audit/entries?{query}")
    assert (answer.status_code, answer.json()["param"], house.reader.asked) == (422, query.partition("=")[0], [])
    assert house.log.of_kind("log_read") == []
    assert query.partition("=")[2] not in str(house.log.entries)


@pytest.mark.parametrize("headers", [{"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_another_sites_page_causes_no_look(auditor: Page, house: Any, headers: dict[str, str]) -> None:
    answer = await auditor.http.get("/api/audit/entries?kind=refusal", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert (house.reader.asked, house.log.of_kind("log_read")) == ([], [])


async def test_one_person_looks_once_at_a_time_and_few_looks_wait(auditor: Page, house: Any) -> None:
    house.reader.go = asyncio.Event()
    asking = [asyncio.create_task(auditor.http.get("/api/audit/state")) for _ in range(MOST + 3)]
    done, _ = await asyncio.wait(asking, timeout=30, return_when=asyncio.FIRST_COMPLETED)
    while len(done) < 3:
        more, _ = await asyncio.wait(set(asking) - done, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        done |= more
    assert {task.result().status_code for task in done} == {429}
    assert len(house.reader.asked) == 1
    house.reader.go.set()
    statuses = Counter([(await task).status_code for task in asking])
    assert statuses == {200: MOST, 429: 3}
    assert len(house.log.of_kind("log_read")) == MOST
    assert (await auditor.http.get("/api/audit/state")).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "entries?before=-1",
        "entries?before=1e3",
        "entries?since=yesterday",
        "entries?until=9999-12-31",
        "entries?kind=" + "x" * 201,
        "figures?since=2026-13-01",
        "export",
        "export?first=5&last=4",
        "export?first=0&last=4096",
    ],
)
async def test_what_makes_no_sense_is_refused(auditor: Page, house: Any, path: str) -> None:
    answer = await auditor.http.get(f"/api/audit/{path}")
    assert (answer.status_code, house.reader.asked) == (422, [])


@pytest.mark.parametrize(("failure", "status"), [(AuditUnavailableError("gone"), 503), (EntryRefusedError("no"), 422)])
async def test_what_the_log_refuses_is_told(auditor: Page, house: Any, failure: Exception, status: int) -> None:
    house.reader.failure = failure
    assert (await auditor.http.get("/api/audit/entries")).status_code == status


async def test_a_refusal_names_what_is_wrong(auditor: Page) -> None:
    answer = await auditor.http.get("/api/audit/export?first=0&last=4096")
    assert (answer.json()["code"], answer.json()["param"]) == ("invalid_request", "last")


async def test_an_export_is_a_download_of_a_name_that_says_what_it_is(auditor: Page) -> None:
    answer = await auditor.http.get("/api/audit/export?first=3&last=9")
    assert answer.headers["content-disposition"] == 'attachment; filename="entries-3-9.zip"'
    assert (answer.headers["content-type"], answer.content) == ("application/zip", b"PK")


async def test_the_page_itself_is_a_file_without_secrets(client: httpx.AsyncClient) -> None:
    answer = await client.get("/auditor")
    assert answer.status_code == 200
    assert "script-src 'self'" in answer.headers["content-security-policy"]
