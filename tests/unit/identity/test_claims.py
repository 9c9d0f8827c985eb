"""The rules for what tokens must say."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.identity.claims import LOGOUT_EVENT, TokenError, check_access, check_id, check_logout
from tests.unit.identity.signed import AUDIENCE, ISSUER, NOW, access_claims


def access(now: float = NOW, **changes: Any) -> Any:
    return check_access(access_claims(**changes), issuer=ISSUER, audience=AUDIENCE, now=now)


def logout(**changes: Any) -> Any:
    claims = {
        **access_claims(typ="Logout", aud="sovereign-web"),
        "jti": "one",
        "events": {LOGOUT_EVENT: {}},
        **changes,
    }
    kept = {name: value for name, value in claims.items() if value is not None}
    return check_logout(kept, issuer=ISSUER, client_id="sovereign-web", now=NOW)


def identity(**changes: Any) -> Any:
    claims = access_claims(typ="ID", aud="sovereign-web", nonce="n", **changes)
    return check_id(claims, issuer=ISSUER, client_id="sovereign-web", nonce="n", now=NOW)


def test_a_good_access_token_yields_its_principal() -> None:
    principal = access(roles=["auditor"])
    assert (principal.username, principal.groups, principal.roles) == ("analyst", ("analysts",), ("auditor",))
    assert (principal.session_id, principal.client_id, principal.expires_at) == ("session", "sovereign-web", NOW + 300)


def test_a_person_without_groups_or_session_is_still_a_principal() -> None:
    principal = access(groups=None, roles=None, sid=None)
    assert (principal.groups, principal.roles, principal.session_id) == ((), (), None)


@pytest.mark.parametrize(
    ("weights", "weight"),
    [
        (None, None),
        ([], None),
        (["2"], 2.0),
        (["0.5", "4", "3.25"], 4.0),
        (["0", "101", "-1", "1e9", "nan", "٣", " 5"], None),
        (["many", "7"], 7.0),
    ],
)
def test_a_weight_is_the_largest_that_is_one_and_a_slip_locks_nobody_out(weights: Any, weight: float | None) -> None:
    assert access(weights=weights).weight == weight


@pytest.mark.parametrize(
    "changes",
    [
        {"typ": "ID"},
        {"typ": "Refresh"},
        {"typ": None},
        {"iss": ISSUER + "/"},
        {"iss": "https://elsewhere.example/realms/sovereign"},
        {"iss": None},
        {"aud": "account"},
        {"aud": ["account", "other"]},
        {"aud": None},
        {"aud": [["sovereign-api"]]},
        {"exp": NOW - 11},
        {"exp": None},
        {"exp": "never"},
        {"exp": True},
        {"iat": NOW + 11},
        {"iat": None},
        {"nbf": NOW + 11},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"azp": None},
        {"preferred_username": None},
        {"groups": "analysts"},
        {"groups": [1]},
        {"roles": {"admin": True}},
        {"sid": 7},
    ],
    ids=str,
)
def test_an_access_token_that_breaks_a_rule_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TokenError):
        access(**changes)


def test_clocks_may_differ_by_ten_seconds() -> None:
    assert access(exp=NOW - 9)
    assert access(iat=NOW + 10)


def test_an_audience_may_be_one_of_several() -> None:
    assert access(aud=["account", AUDIENCE])


def test_an_id_token_that_answers_the_sign_in_is_accepted() -> None:
    assert identity()["sub"] == "2f1c7a9e"


@pytest.mark.parametrize(
    "changes",
    [{"typ": "Bearer"}, {"aud": ["sovereign-web", "other"]}, {"azp": "other"}, {"nonce": "m"}, {"nonce": None}],
    ids=str,
)
def test_an_id_token_that_breaks_a_rule_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TokenError):
        check_id(
            {**access_claims(typ="ID", aud="sovereign-web", nonce="n"), **changes},
            issuer=ISSUER,
            client_id="sovereign-web",
            nonce="n",
            now=NOW,
        )


def test_a_logout_notice_names_person_and_session() -> None:
    notice = logout()
    assert (notice.sub, notice.sid, notice.jti) == ("2f1c7a9e", "session", "one")


@pytest.mark.parametrize(
    "changes",
    [
        {"typ": "ID"},
        {"aud": "sovereign-cli"},
        {"aud": ["sovereign-web", "sovereign-cli"]},
        {"iss": "https://elsewhere.example"},
        {"events": None},
        {"events": {}},
        {"events": [LOGOUT_EVENT]},
        {"events": {LOGOUT_EVENT: None}},
        {"nonce": "n"},
        {"sub": None, "sid": None},
        {"jti": None},
        {"iat": NOW - 121},
        {"exp": NOW - 11},
    ],
    ids=str,
)
def test_a_logout_notice_that_breaks_a_rule_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TokenError):
        logout(**changes)


def test_a_refusal_never_quotes_the_token() -> None:
    with pytest.raises(TokenError) as refused:
        access(aud="https://very-secret.example")
    assert "very-secret" not in str(refused.value)
