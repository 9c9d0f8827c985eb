"""What happens at a real Keycloak is in the log a moment later, read by a client that may do nothing else."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from appliance.audit.commitment import pseudonym
from appliance.errors import UnavailableError
from appliance.gateway.event_cursor import Cursor
from appliance.gateway.identity_events import PAGE, IdentityEvents
from appliance.gateway.metrics import Metrics
from appliance.gateway.rate_bound import BURST
from appliance.identity.clients import EVENTS_CLIENT, WEB_CLIENT, events_secret
from appliance.identity.event_source import USER_EVENTS, EventSource
from appliance.identity.events import recorded_at
from tests.gateway.doubles import MemoryLog
from tests.integration.identity.code_flow import Gateway, as_gateway
from tests.integration.keycloak_site import CLIENT_SECRETS, PASSWORD, KeycloakSite, SignInPage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.network
KEY = b"p" * 32
SECRET = events_secret(CLIENT_SECRETS[WEB_CLIENT])


@dataclass
class Reading:
    """A log that a gateway brings Keycloak's events into; the cursor stays from one reading to the next."""

    site: KeycloakSite
    log: MemoryLog = field(default_factory=MemoryLog)
    cursors: dict[str, Cursor] = field(default_factory=dict)

    @asynccontextmanager
    async def turn(self, kind: str, now: int) -> AsyncGenerator[Cursor | None, None]:
        yield self.cursors.setdefault(kind, Cursor(None, None, now))

    def read(self) -> list[dict[str, Any]]:
        """The entries that are new since the last time, but for the reader's own sign-in."""
        known = len(self.log.entries)
        asyncio.run(self._read())
        new = [event for _, event in self.log.entries[known:]]
        return [event for event in new if event["unmapped"]["sovereign"].get("client_id") != EVENTS_CLIENT]

    async def _read(self) -> None:
        async with self.site.async_http() as http:
            source = EventSource(self.site.config.issuer, SECRET, http)
            await IdentityEvents(source=source, audit=self.log, cursors=self, metrics=Metrics(), key=KEY).read()


def told(events: list[dict[str, Any]], kind: str) -> list[tuple[str, str, int]]:
    """Operation, whom and status of the events of a kind."""
    found = [e for e in events if e["unmapped"]["sovereign"]["kind"] == kind]
    return [(e["unmapped"]["sovereign"]["operation"], e["user"]["uid"], e["status_id"]) for e in found]


def test_sign_ins_failures_and_sign_outs_are_told_with_pseudonyms(keycloak_site: KeycloakSite) -> None:
    sub = keycloak_site.ensure_user("analyst", "analysts")
    who = pseudonym(sub, KEY)
    reading = Reading(keycloak_site)
    reading.read()

    async def act(gateway: Gateway) -> None:
        with SignInPage(keycloak_site) as page:
            url = await gateway.client.authorization_url(
                redirect_uri=gateway.callback, state="s", nonce="n", code_verifier="v" * 43
            )
            page.open(url).sign_in("analyst", "wrong-horse-battery").sign_in("nobody-here", "wrong-horse-battery")
            tokens = await gateway.sign_in(page, "analyst")
            assert tokens.refresh_token
            await gateway.client.end_session(tokens.refresh_token)

    as_gateway(keycloak_site, act)
    found = reading.read()
    assert [one for one in told(found, "identity_sign_in") if one[0] == "LOGIN"] == [
        ("LOGIN", who, 2),
        ("LOGIN", "unknown", 2),
        ("LOGIN", who, 1),
    ]
    assert told(found, "identity_sign_out") == [("LOGOUT", who, 1)]
    assert not [hidden for hidden in (sub, "nobody-here", "127.0.0.1") if hidden in str(found)]
    assert reading.read() == []


def test_what_administrators_change_is_told(keycloak_site: KeycloakSite) -> None:
    sub = keycloak_site.ensure_user("clerk")
    reading = Reading(keycloak_site)
    reading.read()
    with keycloak_site.admin() as admin:
        group = admin.get_group_by_path("/analysts")["id"]
        admin.group_user_add(sub, group)
        admin.set_user_password(sub, PASSWORD + "-new", temporary=False)
        admin.group_user_remove(sub, group)
    changes = [e for e in reading.read() if e["unmapped"]["sovereign"]["kind"] == "identity_change"]
    who = pseudonym(sub, KEY)
    assert [(e["unmapped"]["sovereign"]["operation"], e["entity"]["type"], e["entity"]["name"]) for e in changes] == [
        ("CREATE", "GROUP_MEMBERSHIP", f"users/{who}/groups/{group}"),
        ("ACTION", "USER", f"users/{who}/reset-password"),
        ("DELETE", "GROUP_MEMBERSHIP", f"users/{who}/groups/{group}"),
    ]
    assert all(e["unmapped"]["sovereign"]["client_id"] for e in changes)


def test_more_than_a_page_of_failures_comes_in_as_few_that_tell_how_many(keycloak_site: KeycloakSite) -> None:
    reading = Reading(keycloak_site)
    reading.read()
    count = PAGE + 30

    async def fail() -> None:
        url = f"{keycloak_site.config.issuer}/protocol/openid-connect/token"
        form = {"grant_type": "client_credentials", "client_id": "batch", "client_secret": "wrong"}
        async with keycloak_site.async_http() as http:
            for _ in range(count):
                assert (await http.post(url, data=form)).status_code == httpx.codes.UNAUTHORIZED

    asyncio.run(fail())
    first = reading.read()
    assert BURST <= len(told(first, "identity_sign_in")) < count
    assert reading.read() == []


def test_a_page_goes_on_at_the_moment_at_which_the_last_one_ended(keycloak_site: KeycloakSite) -> None:
    """Keycloak answers by times to the millisecond, earliest first, from the moment asked for on."""

    async def act() -> None:
        async with keycloak_site.async_http() as http:
            source = EventSource(keycloak_site.config.issuer, SECRET, http)
            every = await source.page(USER_EVENTS, 0, 100_000)
            seen: list[str] = []
            since, most = 0, 3
            while True:
                page = await source.page(USER_EVENTS, since, most)
                seen += [one["id"] for one in page if one["id"] not in seen]
                if len(page) < most:
                    break
                last = recorded_at(page[-1])
                since, most = (last, 3) if last > since else (since, 2 * most)
            assert seen[: len(every)] == [one["id"] for one in every]

    asyncio.run(act())


def test_whoever_reads_events_may_read_nothing_else_and_change_nothing(keycloak_site: KeycloakSite) -> None:
    async def act() -> None:
        async with keycloak_site.async_http() as http:
            source = EventSource(keycloak_site.config.issuer, SECRET, http)
            assert await source.page(USER_EVENTS, 0, PAGE)
            held = {"Authorization": f"Bearer {await source.reader.token()}"}
            for method, path in (
                ("GET", "/users"),
                ("GET", "/clients"),
                ("GET", "/groups"),
                ("DELETE", "/events"),
                ("DELETE", "/admin-events"),
                ("PUT", "/events/config"),
            ):
                answer = await http.request(
                    method, source.reader.address + path, headers=held, json={} if method == "PUT" else None
                )
                assert answer.status_code == httpx.codes.FORBIDDEN, (method, path)

    asyncio.run(act())


def test_a_wrong_secret_and_a_keycloak_that_is_away_are_said(keycloak_site: KeycloakSite) -> None:
    async def act(issuer: str, secret: str) -> None:
        async with keycloak_site.async_http() as http:
            await EventSource(issuer, secret, http).page(USER_EVENTS, 0, PAGE)

    with pytest.raises(UnavailableError, match="401"):
        asyncio.run(act(keycloak_site.config.issuer, "wrong"))
    with pytest.raises(UnavailableError, match="does not answer"):
        asyncio.run(act("https://127.0.0.1:9/realms/sovereign", SECRET))
