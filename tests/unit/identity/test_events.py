"""What Keycloak records becomes entries that name people by pseudonym, and nothing that they typed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from appliance.audit.entry import encode_entry, same_event
from appliance.audit.roles import IDENTITY, kind_of
from appliance.identity.events import admin_entry, recorded_at, user_entry

WHO = "0b8e4a7e-3f1b-4d8c-9a51-0b6a1f3c2d4e"
OTHER = "7c1d2e3f-aaaa-4bbb-8ccc-1234567890ab"
LOGGED = datetime(2026, 11, 26, tzinfo=UTC)


def name(subject: str) -> str:
    return f"pseudonym-of-{subject[:4]}"


def recorded(kind: str, **more: Any) -> dict[str, Any]:
    return {
        "id": "e1",
        "time": 1_795_348_800_005,
        "type": kind,
        "userId": WHO,
        "clientId": "sovereign-web",
        "sessionId": "s1",
        "ipAddress": "192.0.2.7",
        "details": {"username": "jane.doe", "redirect_uri": "https://assistant/"},
        **more,
    }


def changed(operation: str, resource: str, path: str, **more: Any) -> dict[str, Any]:
    details = {"realmId": "r", "clientId": "sovereign-admin", "userId": OTHER, "ipAddress": "192.0.2.7"}
    return {
        "id": "a1",
        "time": 1_795_348_800_005,
        "authDetails": details,
        "operationType": operation,
        "resourceType": resource,
        "resourcePath": path,
        **more,
    }


@pytest.mark.parametrize(
    ("type_", "error", "kind", "activity"),
    [
        ("LOGIN", None, "identity_sign_in", 1),
        ("LOGIN_ERROR", "invalid_user_credentials", "identity_sign_in", 1),
        ("CLIENT_LOGIN", None, "identity_sign_in", 1),
        ("CODE_TO_TOKEN_ERROR", "invalid_code", "identity_sign_in", 1),
        ("REFRESH_TOKEN_ERROR", "invalid_token", "identity_sign_in", 1),
        ("LOGOUT", None, "identity_sign_out", 2),
        ("LOGOUT_ERROR", "invalid_token", "identity_sign_out", 2),
        ("UPDATE_PASSWORD", None, "account_change", 3),
        ("RESET_PASSWORD_ERROR", "expired_code", "account_change", 4),
        ("USER_DISABLED_BY_TEMPORARY_LOCKOUT", None, "account_change", 9),
        ("A_TYPE_OF_SOME_LATER_KEYCLOAK", None, "account_change", 99),
        ("", None, "account_change", 99),
    ],
)
def test_every_type_has_its_class(type_: str, error: str | None, kind: str, activity: int) -> None:
    made = user_entry(recorded(type_, error=error), name)
    assert made is not None
    entry_id, event = made
    assert (entry_id, kind_of(event), event["activity_id"]) == ("identity/event/e1", kind, activity)
    assert event["status_id"] == (2 if error else 1)
    assert IDENTITY.owns(entry_id, event)


def test_an_entry_bears_the_time_of_its_logging_and_keycloaks_beside_it() -> None:
    """A log is searched and aged by its entries' times: those of a backlog must not lead either back."""
    old = recorded("LOGIN", time=1_789_000_000_005)
    sign_in, change = user_entry(old, name, LOGGED), admin_entry(changed("UPDATE", "REALM", ""), name, LOGGED)
    assert sign_in is not None
    for (_, event), told in ((sign_in, "2026-09-10T00:26:40.005+00:00"), (change, "2026-11-22T12:00:00.005+00:00")):
        assert event["time"] == int(LOGGED.timestamp() * 1000)
        assert event["metadata"]["original_time"] == told


def test_what_is_read_again_later_is_the_same_event_to_the_log() -> None:
    once, again = (user_entry(recorded("LOGIN"), name, at) for at in (LOGGED, None))
    assert once is not None
    assert again is not None
    assert same_event(encode_entry(once[1], once[0]), encode_entry(again[1], again[0]))


def test_what_only_repeats_a_sign_in_is_left_out_and_its_failure_is_not() -> None:
    assert user_entry(recorded("CODE_TO_TOKEN"), name) is None
    assert user_entry(recorded("CODE_TO_TOKEN_ERROR"), name) is not None


@pytest.mark.parametrize("type_", ["LOGIN", "LOGIN_ERROR", "LOGOUT", "UPDATE_PASSWORD", "WHATEVER"])
def test_no_name_address_or_account_id_gets_into_the_log(type_: str) -> None:
    made = user_entry(recorded(type_), name)
    assert made is not None
    text = encode_entry(made[1], made[0]).decode()
    assert not [told for told in ("jane.doe", "192.0.2.7", WHO) if told in text]
    assert name(WHO) in text


def test_a_password_typed_as_a_name_or_a_client_stays_out() -> None:
    typed = recorded("LOGIN_ERROR", userId=None, error="user_not_found", details={"username": "my-secret-password"})
    client = recorded("CLIENT_LOGIN_ERROR", userId=None, error="client_not_found", clientId="my-secret-password")
    for event in (typed, client):
        made = user_entry(event, name)
        assert made is not None
        assert "my-secret-password" not in json.dumps(made)
        assert made[1]["user"]["uid"] == "unknown"


@pytest.mark.parametrize(
    ("operation", "resource", "path", "activity", "told"),
    [
        ("CREATE", "GROUP_MEMBERSHIP", f"users/{WHO}/groups/{OTHER}", 1, f"users/{name(WHO)}/groups/{OTHER}"),
        ("ACTION", "USER", f"users/{WHO}/reset-password", 3, f"users/{name(WHO)}/reset-password"),
        ("DELETE", "USER", f"users/{WHO}", 4, f"users/{name(WHO)}"),
        ("UPDATE", "REALM", "", 3, ""),
    ],
)
def test_what_an_administrator_changed_is_told_by_pseudonyms(
    operation: str, resource: str, path: str, activity: int, told: str
) -> None:
    entry_id, event = admin_entry(changed(operation, resource, path), name)
    assert (entry_id, kind_of(event), event["activity_id"]) == ("identity/admin/a1", "identity_change", activity)
    assert event["entity"] == {"name": told, "type": resource}
    assert event["actor"]["user"]["uid"] == name(OTHER)
    text = json.dumps(event)
    assert WHO not in text
    assert "192.0.2.7" not in text


@pytest.mark.parametrize(
    "event",
    [{}, {"time": "now"}, {"time": -1, "authDetails": []}, {"type": None, "id": 7}],
)
def test_an_event_of_no_known_shape_is_logged_all_the_same_and_once(event: dict[str, Any]) -> None:
    for entry_of in (user_entry, admin_entry):
        made, again = entry_of(event, name, LOGGED), entry_of(dict(event), name, LOGGED)
        assert made is not None
        assert again == made
        encode_entry(made[1], made[0])
        assert IDENTITY.owns(*made)
        assert "original_time" not in made[1]["metadata"]
    assert recorded_at(event) == 0


def test_a_time_that_no_calendar_has_is_left_out() -> None:
    made = user_entry(recorded("LOGIN", time=10**30), name)
    assert made is not None
    assert "original_time" not in made[1]["metadata"]
