"""Whoever fails at Keycloak again and again fills no log, hides nobody else, and is counted."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.gateway.failure_bound import FailureBound
from appliance.gateway.rate_bound import BURST, SECONDS
from appliance.identity.events import admin_entry, user_entry


def failure(**more: Any) -> dict[str, Any]:
    made = user_entry({"id": "e", "type": "LOGIN_ERROR", "userId": "u", "clientId": "web", "error": "bad"} | more, str)
    assert made is not None
    return made[1]


def test_a_flood_leaves_a_burst_and_the_next_entry_says_how_many_there_were() -> None:
    bound = FailureBound()
    kept = [bound.admit(failure(), 1000) is not None for _ in range(BURST + 40)]
    assert kept == [True] * BURST + [False] * 40
    later = bound.admit(failure(), 1000 + int(SECONDS * 1000))
    assert later is not None
    assert later["unmapped"]["sovereign"]["left_out"] == 40


@pytest.mark.parametrize(
    "other", [{"userId": "v"}, {"clientId": "cli"}, {"error": "expired"}, {"type": "RESET_PASSWORD_ERROR"}]
)
def test_a_flood_hides_no_other_person_client_reason_or_operation(other: dict[str, Any]) -> None:
    bound = FailureBound()
    for _ in range(BURST + 1):
        bound.admit(failure(), 1000)
    assert bound.admit(failure(), 1000) is None
    assert bound.admit(failure(**other), 1000) is not None


def test_what_succeeded_is_never_left_out() -> None:
    bound = FailureBound()
    assert all(bound.admit(failure(type="LOGIN", error=None), 1000) for _ in range(10 * BURST))


def test_what_administrators_fail_at_is_bound_as_well() -> None:
    bound = FailureBound()
    event = admin_entry({"operationType": "CREATE", "error": "denied", "authDetails": {"userId": "a"}}, str)[1]
    assert sum(bound.admit(event, 1000) is not None for _ in range(3 * BURST)) == BURST


def test_a_time_that_runs_back_gives_no_more_and_no_less() -> None:
    bound = FailureBound()
    assert bound.admit(failure(), 10_000_000) is not None
    assert sum(bound.admit(failure(), 5_000) is not None for _ in range(2 * BURST)) == BURST - 1
