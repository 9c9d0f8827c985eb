from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from appliance.identity.tokens import LogoutToken
from tests.gateway.doubles import principal, site
from tests.integration.gateway.conftest import Page

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.anyio


async def test_signing_in_makes_a_session_that_says_who_and_what(page: Any, house: Any) -> None:
    body = (await page.http.get("/api/session")).json()
    assert body["user"] == {"name": "analyst", "groups": ["analysts"], "roles": ["expert"]}
    assert [model["id"] for model in body["models"]] == ["small", "large"]
    assert body["models"][0]["producer"] == "Test Producer"
    assert body["site"] == {"name": "test"}
    assert house.log.kinds() == ["sign_in"]


async def test_without_a_session_there_is_401_and_a_forged_one_is_none(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/session")).status_code == 401
    client.cookies.set("sovereign-session", "A" * 43)
    assert (await client.get("/api/session")).status_code == 401


async def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(client: httpx.AsyncClient) -> None:
    there = await client.get("/auth/login")
    back = await client.get(there.headers["location"])
    cookie = next(c for c in back.headers.get_list("set-cookie") if c.startswith("sovereign-session="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Domain" not in cookie


async def test_under_tls_cookies_are_host_bound_and_hsts_is_sent(house: Any) -> None:
    config = site(tls={"mode": "site-ca"})
    async with house.open(config) as client:
        there = await client.get("/auth/login")
    cookie = there.headers["set-cookie"]
    assert cookie.startswith("__Host-sovereign-login-")
    assert "Secure" in cookie
    assert "max-age" in there.headers["strict-transport-security"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("state=STATE&code=wrong", "sign_in_refused"),
        ("state=STATE&error=access_denied", "sign_in_refused"),
        ("state=another&code=code", "sign_in_unknown"),
        ("code=code", "sign_in_unknown"),
        ("state=%0d%0aSet-Cookie:%20a=b;%20%E2%82%AC&code=code", "sign_in_unknown"),
    ],
)
async def test_a_sign_in_that_is_not_ours_makes_no_session(
    client: httpx.AsyncClient, house: Any, query: str, code: str
) -> None:
    there = await client.get("/auth/login")
    state = there.headers["location"].partition("state=")[2].partition("&")[0]
    back = await client.get("/auth/callback?" + query.replace("STATE", state))
    assert back.headers["location"] == f"/?problem={code}"
    assert await house.count("session") == 0


async def test_a_callback_in_another_browser_finds_nothing(client: httpx.AsyncClient, house: Any) -> None:
    there = await client.get("/auth/login")
    client.cookies.clear()
    back = await client.get(there.headers["location"])
    assert back.headers["location"] == "/?problem=sign_in_unknown"
    assert await house.count("session") == 0


async def test_without_a_log_nobody_signs_in(client: httpx.AsyncClient, house: Any) -> None:
    house.log.up = False
    there = await client.get("/auth/login")
    back = await client.get(there.headers["location"])
    assert back.headers["location"] == "/?problem=audit_unavailable"
    assert await house.count("session") == 0


async def test_a_next_address_of_another_site_is_dropped(client: httpx.AsyncClient) -> None:
    there = await client.get("/auth/login", params={"next": "//evil.test/"})
    back = await client.get(there.headers["location"])
    assert back.headers["location"] == "/"


async def test_changes_need_the_sessions_csrf_token_and_our_origin(page: Any) -> None:
    for headers in (
        {},
        {"X-CSRF-Token": "0" * 64},
        {"X-CSRF-Token": "\xfc".encode()},
        {**page.headers, "Origin": "https://evil.test"},
        {**page.headers, "Origin": "null"},
        {**page.headers, "Sec-Fetch-Site": "cross-site"},
    ):
        refused = await page.http.post("/api/conversations", json={"model": "small"}, headers=headers)
        assert refused.status_code == 403, headers
    assert (await page.http.get("/api/conversations")).json() == {"conversations": []}


async def test_signing_out_ends_the_session_here_and_says_where_to_end_it_there(page: Any, house: Any) -> None:
    assert (await page.http.post("/auth/logout")).status_code == 403
    answer = await page.http.post("/auth/logout", headers=page.headers)
    assert answer.json()["redirect"].endswith("signed-out=id:analyst")
    assert await house.count("session") == 0
    assert house.log.kinds()[-1] == "sign_out"


async def test_an_old_cookie_does_not_work_after_signing_out(page: Any) -> None:
    cookie = page.http.cookies.get("sovereign-session")
    await page.http.post("/auth/logout", headers=page.headers)
    page.http.cookies.set("sovereign-session", cookie)
    assert (await page.http.get("/api/session")).status_code == 401


async def test_a_running_out_token_is_refreshed_once_however_many_ask(page: Any, house: Any) -> None:
    house.door.lifetime = 1
    house.door.people["analyst"] = principal("analyst", "analysts", lifetime=1)
    page.http.cookies.clear()
    await page.sign_in()
    house.door.refreshed = 0
    house.door.lifetime = 300
    answers = await asyncio.gather(*(page.http.get("/api/conversations") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert house.door.refreshed == 1


async def test_lost_groups_count_with_the_next_refresh(page: Any, house: Any) -> None:
    house.door.people["analyst"] = principal("analyst", "clerks", lifetime=1)
    house.door.lifetime = 1
    page.http.cookies.clear()
    await page.sign_in()
    models = (await page.http.get("/api/session")).json()["models"]
    assert [model["id"] for model in models] == ["small"]


async def test_when_keycloak_says_no_the_session_is_over(page: Any, house: Any) -> None:
    house.door.people["analyst"] = principal("analyst", "analysts", lifetime=1)
    house.door.lifetime = 1
    page.http.cookies.clear()
    await page.sign_in()
    house.door.refreshable = False
    refused = await page.http.get("/api/session")
    assert (refused.status_code, refused.json()["code"]) == (401, "session_ended")


def notice(jti: str, sub: str | None, sid: str | None) -> LogoutToken:
    return LogoutToken(sub=sub, sid=sid, jti=jti, expires_at=int(time.time()) + 60)


async def test_keycloak_ends_a_session_from_afar_once(page: Any, house: Any) -> None:
    house.door.logouts["logout"] = notice("one", "sub-analyst", "sid-analyst")
    ended = await page.http.post("/auth/backchannel-logout", data={"logout_token": "logout"})
    assert (ended.status_code, ended.headers["cache-control"]) == (200, "no-store")
    assert (await page.http.get("/api/session")).status_code == 401
    assert house.log.kinds()[-1] == "sign_out"
    again = await page.http.post("/auth/backchannel-logout", data={"logout_token": "logout"})
    assert (again.status_code, again.json()["code"]) == (400, "invalid_logout_token")


async def test_a_logout_by_person_ends_all_their_sessions_and_nobody_elses(page: Any, house: Any) -> None:
    page.http.cookies.clear()
    await page.sign_in()
    page.http.cookies.clear()
    house.door.guest = "clerk"
    await page.sign_in()
    house.door.logouts["logout"] = notice("two", "sub-analyst", None)
    await page.http.post("/auth/backchannel-logout", data={"logout_token": "logout"})
    assert await house.count("session") == 1
    assert (await page.http.get("/api/session")).status_code == 200


@pytest.mark.parametrize("body", ["", "logout_token=forged", "logout_token=a&logout_token=b", "x=y", "\xff"])
async def test_a_forged_logout_notice_ends_nothing(page: Any, body: str) -> None:
    refused = await page.http.post("/auth/backchannel-logout", content=body.encode("latin-1"))
    assert refused.status_code == 400
    assert (await page.http.get("/api/session")).status_code == 200


async def test_a_session_works_at_every_gateway(page: Any, house: Any) -> None:
    async with house.open() as second:
        second.cookies.update(page.http.cookies)
        assert (await second.get("/api/session")).json()["csrf"] == page.csrf


async def test_on_the_scheme_s_own_port_browsers_leave_the_port_out_and_are_still_the_same_site(house: Any) -> None:
    async with house.open(site(listen={"hostname": "localhost", "gateway_port": 80})) as client:
        client.base_url = "http://localhost"
        page = await Page(client).sign_in()
        headers = {**page.headers, "Origin": "http://localhost"}
        made = await client.post("/api/conversations", json={"model": "small"}, headers=headers)
    assert made.status_code == 201, made.text
