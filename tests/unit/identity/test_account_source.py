"""Accounts are read page by page, each of them, whatever is deleted meanwhile; nothing else counts as an account."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from appliance.errors import UnavailableError
from appliance.gateway.account_names import AccountNames
from appliance.gateway.pseudonyms import subject_of
from appliance.identity.account_source import OVERLAP, PAGE, AccountSource
from appliance.identity.users import every_account

ISSUER = "https://identity.example/realms/sovereign"
KEY = b"p" * 32


@dataclass
class Keycloak:
    """Token and accounts, as Keycloak gives them: programs only to who asks by name."""

    people: list[str]
    programs: list[str] = field(default_factory=lambda: ["service-account-batch"])
    status: int = 200
    body: Any = None
    leaving: int = 0
    """How many people are deleted after each page."""
    stuck: bool = False
    """Every page is the first one."""
    asked: list[dict[str, str]] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            assert b"client_id=sovereign-names" in request.content
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
        assert request.headers["authorization"] == "Bearer t"
        assert request.url.path == "/admin/realms/sovereign/users"
        query = dict(request.url.params)
        self.asked.append(query)
        if self.status != 200 or self.body is not None:
            return httpx.Response(self.status, json=self.body)
        held = self.programs if "username" in query else self.people
        first = 0 if self.stuck else int(query["first"])
        page = [{"id": f"id-{name}", "username": name} for name in held[first : first + int(query["max"])]]
        self.people = self.people[self.leaving :]
        return httpx.Response(200, json=page)

    async def read(self) -> list[tuple[str, str]]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(self.answer)) as http:
            return [one async for one in AccountSource(ISSUER, "secret", http).accounts()]

    async def names(self, *subjects: str) -> dict[str, str | None]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(self.answer)) as http:
            return await AccountNames(AccountSource(ISSUER, "secret", http), KEY).of(subjects)


def subject(name: str) -> str:
    return subject_of(f"id-{name}", KEY)


def people(count: int) -> list[str]:
    return [f"analyst{number:05d}" for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE])
def test_everybody_is_read_and_programs_after_people(count: int) -> None:
    keycloak = Keycloak(people(count))
    names = [name for _, name in asyncio.run(keycloak.read())]
    assert list(dict.fromkeys(names)) == [*people(count), "service-account-batch"]
    assert {one["briefRepresentation"] for one in keycloak.asked} == {"true"}


def test_nobody_is_passed_over_when_others_are_deleted_meanwhile() -> None:
    keycloak = Keycloak(people(3 * PAGE), leaving=OVERLAP)
    assert {name for _, name in asyncio.run(keycloak.read())} >= set(people(3 * PAGE))


def test_a_keycloak_that_begins_anew_for_ever_is_not_read_for_ever() -> None:
    keycloak = Keycloak(people(3 * PAGE), stuck=True)
    with pytest.raises(UnavailableError, match="the same accounts again"):
        asyncio.run(keycloak.read())
    assert len(keycloak.asked) == 2


@dataclass
class Administration:
    """The administrator's library, which asks for one page where one is named."""

    keycloak: Keycloak

    def change_current_realm(self, realm: str) -> None:
        assert realm == "sovereign"

    def get_users(self, query: dict[str, Any]) -> list[dict[str, str]]:
        url = httpx.URL(f"{ISSUER.replace('/realms/', '/admin/realms/')}/users", params=query)
        answer = self.keycloak.answer(httpx.Request("GET", url, headers={"Authorization": "Bearer t"}))
        found: list[dict[str, str]] = answer.json()
        return found


def test_the_administrator_reads_the_same_and_passes_nobody_over_either() -> None:
    keycloak = Keycloak(people(3 * PAGE), leaving=OVERLAP)
    admin: Any = Administration(keycloak)
    assert {name for _, name in every_account(admin)} >= {*people(3 * PAGE), "service-account-batch"}


def test_only_as_much_is_read_as_names_are_asked_for() -> None:
    keycloak = Keycloak(people(3 * PAGE))
    sought = subject("analyst00007")
    assert asyncio.run(keycloak.names(sought)) == {sought: "analyst00007"}
    assert len(keycloak.asked) == 1


def test_who_has_no_account_has_no_name_and_programs_have_theirs() -> None:
    keycloak = Keycloak(people(3))
    erased, program = subject("deputy"), subject("service-account-batch")
    assert asyncio.run(keycloak.names(erased, program)) == {erased: None, program: "service-account-batch"}


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (403, {}, "403"),
        (401, {}, "401"),
        (200, {"users": []}, "makes no sense"),
        (200, ["analyst"], "makes no sense"),
        (200, [{"id": "x"}], "without id or name"),
        (200, [{"id": 7, "username": "analyst"}], "without id or name"),
    ],
)
def test_what_keycloak_refuses_or_garbles_is_no_list_of_nobody(status: int, body: Any, said: str) -> None:
    with pytest.raises(UnavailableError, match=said):
        asyncio.run(Keycloak([], status=status, body=body).names(subject("analyst")))
