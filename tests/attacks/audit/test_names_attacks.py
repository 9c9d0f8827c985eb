"""Names behind pseudonyms, for whoever may not see them, and in places where nobody should find them later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from appliance.gateway.pseudonyms import subject_of
from tests.gateway.doubles import principal
from tests.integration.gateway.conftest import KEYS, Page

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.anyio
NAMES = ("surveyor", "service-account-ledger")
SUBJECTS = tuple(subject_of(f"sub-{name}", KEYS.pseudonym) for name in NAMES)
PATHS = ("state", "entries", "figures", "export?first=0&last=0", "names")
TRIES = (
    f"subjects={','.join(SUBJECTS)}",
    f"subject={SUBJECTS[0]}",
    "names=1",
    "names=true&role=auditor-names",
    "roles=auditor&roles=auditor-names",
    "subjects=*",
)


async def signed_in(client: httpx.AsyncClient, house: Any, guest: str) -> Page:
    house.door.guest = guest
    house.register.names = list(NAMES)
    return await Page(client).sign_in()


@pytest.mark.parametrize("tried", TRIES)
@pytest.mark.parametrize("path", PATHS)
async def test_a_plain_auditor_gets_no_name_by_any_parameter(
    client: httpx.AsyncClient, house: Any, path: str, tried: str
) -> None:
    page = await signed_in(client, house, "auditor")
    claimed = {"X-Roles": "auditor-names", "Authorization": "Bearer custodian", "X-Forwarded-User": "custodian"}
    answer = await page.http.get(f"/api/audit/{path}{'&' if '?' in path else '?'}{tried}", headers=claimed)
    assert not any(name in answer.text for name in NAMES)
    assert house.register.asked == 0
    if path == "names":
        assert (answer.status_code, answer.json()["code"]) == (403, "names_not_allowed")
        assert house.log.of_kind("refusal")[-1]["status_code"] == "names_not_allowed"
        assert house.log.of_kind("refusal")[-1]["api"]["operation"] == "names"


@pytest.mark.parametrize("guest", ["analyst", "officer", "outsider"])
async def test_the_role_for_names_is_nothing_without_that_of_an_auditor(
    client: httpx.AsyncClient, house: Any, guest: str
) -> None:
    page = await signed_in(client, house, guest)
    answer = await page.http.get("/api/audit/names", params={"subjects": SUBJECTS[0]})
    assert (answer.status_code, answer.json()["code"], house.register.asked) == (403, "not_an_auditor", 0)


async def test_whose_role_was_taken_away_gets_no_name_once_the_token_is_over(
    client: httpx.AsyncClient, house: Any
) -> None:
    house.door.lifetime = 0
    house.door.people["custodian"] = principal("custodian", "auditors", lifetime=0, roles=("auditor", "auditor-names"))
    page = await signed_in(client, house, "custodian")
    assert (await page.http.get("/api/audit/names", params={"subjects": SUBJECTS[0]})).status_code == 200
    house.door.people["custodian"] = principal("custodian", "auditors", lifetime=0, roles=("auditor",))
    answer = await page.http.get("/api/audit/names", params={"subjects": SUBJECTS[0]})
    assert (answer.status_code, answer.json()["code"], house.register.asked) == (403, "names_not_allowed", 1)


async def test_a_site_that_gives_the_role_to_nobody_has_no_names_even_for_who_brings_it(house: Any) -> None:
    house.register = None
    house.door.guest = "custodian"
    async with house.open() as client:
        page = await Page(client).sign_in()
        answer = await page.http.get("/api/audit/names", params={"subjects": SUBJECTS[0]})
    assert (answer.status_code, answer.json()["code"]) == (403, "names_not_allowed")
    assert house.log.of_kind("log_read") == []


@pytest.mark.parametrize("headers", [{"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_another_sites_page_has_nobody_named(
    client: httpx.AsyncClient, house: Any, headers: dict[str, str]
) -> None:
    page = await signed_in(client, house, "custodian")
    answer = await page.http.get("/api/audit/names", params={"subjects": SUBJECTS[0]}, headers=headers)
    assert (answer.status_code, answer.json()["code"], house.register.asked) == (403, "cross_site", 0)


async def test_a_name_that_was_shown_is_in_no_cache_no_entry_no_table_and_no_later_answer(
    client: httpx.AsyncClient, house: Any
) -> None:
    page = await signed_in(client, house, "custodian")
    shown = await page.http.get("/api/audit/names", params={"subjects": ",".join(SUBJECTS)})
    assert shown.json()["names"] == dict(zip(SUBJECTS, NAMES, strict=True))
    assert shown.headers["cache-control"] == "no-store"
    assert "etag" not in shown.headers
    for path in PATHS[:-1]:
        later = await page.http.get(f"/api/audit/{path}")
        assert not any(name in later.text for name in NAMES)
    house.register.names = []  # erased since: the gateway has kept nothing
    again = await page.http.get("/api/audit/names", params={"subjects": ",".join(SUBJECTS)})
    assert again.json()["names"] == dict.fromkeys(SUBJECTS)
    assert not any(name in str(house.log.entries) for name in NAMES)
    rows = await house.everything()
    assert subject_of("sub-custodian", KEYS.pseudonym) in rows
    assert not any(form in rows for name in NAMES for form in (name, name.encode().hex()))
