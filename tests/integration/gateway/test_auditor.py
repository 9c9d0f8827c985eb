"""The log is shown to auditors only, and nothing is shown, or refused, that the log does not hold first."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit.errors import AuditUnavailableError, EntryRefusedError
from appliance.audit.search import Wanted
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
    house.log.go = asyncio.Event()
    asking = asyncio.create_task(auditor.http.get(f"/api/audit/{path}"))
    await asyncio.sleep(0.05)
    assert house.reader.asked == []
    house.log.go.set()
    assert (await asking).status_code == 200
    assert len(house.reader.asked) == 1
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


async def test_an_export_is_a_download_of_a_name_that_says_what_it_is(auditor: Page) -> None:
    answer = await auditor.http.get("/api/audit/export?first=3&last=9")
    assert answer.headers["content-disposition"] == 'attachment; filename="entries-3-9.zip"'
    assert (answer.headers["content-type"], answer.content) == ("application/zip", b"PK")


async def test_the_page_itself_is_a_file_without_secrets(client: httpx.AsyncClient) -> None:
    answer = await client.get("/auditor")
    assert answer.status_code == 200
    assert "script-src 'self'" in answer.headers["content-security-policy"]
