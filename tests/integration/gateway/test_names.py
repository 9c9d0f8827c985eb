"""Whom a pseudonym stands for: told to auditors with the role for it, once the log says whose names they asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from appliance.gateway.audit_query import MOST_SUBJECTS
from appliance.gateway.pseudonyms import subject_of
from tests.integration.gateway.conftest import KEYS, Page

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.anyio
GONE = "0" * 32


def subject(name: str) -> str:
    return subject_of(f"sub-{name}", KEYS.pseudonym)


@pytest.fixture
async def custodian(client: httpx.AsyncClient, house: Any) -> Page:
    house.door.guest = "custodian"
    house.register.names = ["analyst", "clerk", "service-account-batch"]
    return await Page(client).sign_in()


async def ask(page: Page, *subjects: str) -> httpx.Response:
    return await page.http.get("/api/audit/names", params={"subjects": ",".join(subjects)})


async def test_people_and_programs_are_named_and_who_was_erased_is_not(custodian: Page) -> None:
    asked = [subject("clerk"), GONE, subject("service-account-batch"), subject("clerk")]
    answer = await ask(custodian, *asked)
    assert answer.json() == {
        "names": {subject("clerk"): "clerk", GONE: None, subject("service-account-batch"): "service-account-batch"}
    }
    assert answer.headers["cache-control"] == "no-store"


async def test_the_log_says_first_who_asks_for_whose_names(custodian: Page, house: Any) -> None:
    held: list[str] = []
    house.register.watch = lambda: held.extend(house.log.kinds())
    assert (await ask(custodian, subject("analyst"), GONE)).status_code == 200
    assert held[-1:] == ["log_read"]
    (entry,) = house.log.of_kind("log_read")
    assert entry["entity"]["name"] == "names"
    assert entry["actor"]["user"]["uid"] == subject("custodian")
    assert entry["unmapped"]["sovereign"]["asked"] == {"subjects": [subject("analyst"), GONE]}


async def test_as_many_as_may_be_asked_for_at_once_are_all_in_the_entry(custodian: Page, house: Any) -> None:
    asked = [f"{number:032x}" for number in range(MOST_SUBJECTS)]
    assert (await ask(custodian, *asked)).status_code == 200
    assert house.log.of_kind("log_read")[0]["unmapped"]["sovereign"]["asked"] == {"subjects": asked}


async def test_without_an_entry_nobody_is_named(custodian: Page, house: Any) -> None:
    house.log.up = False
    answer = await ask(custodian, subject("clerk"))
    assert (answer.status_code, answer.json()["code"]) == (503, "audit_unavailable")
    assert house.register.asked == 0


async def test_a_keycloak_that_does_not_answer_is_told(custodian: Page, house: Any) -> None:
    house.register.up = False
    answer = await ask(custodian, subject("clerk"))
    assert (answer.status_code, answer.json()["code"]) == (503, "identity_unavailable")


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "clerk",
        GONE[1:],
        GONE + ",",
        GONE.replace("0", "A"),
        f"{GONE},clerk",
        ",".join([GONE] * (MOST_SUBJECTS + 1)),
    ],
)
async def test_what_is_no_pseudonym_is_refused_and_gets_into_no_entry(custodian: Page, house: Any, asked: str) -> None:
    answer = await custodian.http.get("/api/audit/names", params={"subjects": asked})
    assert (answer.status_code, answer.json()["param"]) == (422, "subjects")
    assert (house.register.asked, house.log.of_kind("log_read")) == (0, [])
    assert "clerk" not in str(house.log.of_kind("refusal"))
