"""What Keycloak records becomes entries that name people by pseudonym, and nothing that they typed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from appliance.audit.entry import encode_entry
from appliance.audit.roles import IDENTITY, kind_of
from appliance.identity.events import admin_entry, recorded_at, user_entry

WHO = "0b8e4a7e-3f1b-4d8c-9a51-0b6a1f3c2d4e"
OTHER = "7c1d2e3f-aaaa-4bbb-8ccc-1234567890ab"


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
    assert event["time"] == 1_795_348_800_005
    assert IDENTITY.owns(entry_id, event)


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


@pytest.mark.parametrize("event", [{}, {"time": "now"}, {"time": -1, "authDetails": []}, {"type": None, "id": 7}])
def test_an_event_of_no_known_shape_is_logged_all_the_same_and_once(event: dict[str, Any]) -> None:
    for entry_of in (user_entry, admin_entry):
        made, again = entry_of(event, name), entry_of(dict(event), name)
        assert made is not None
        assert again == made
        encode_entry(made[1], made[0])
        assert IDENTITY.owns(*made)
    assert recorded_at(event) == 0
