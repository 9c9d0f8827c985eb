"""Comparing wanted with found."""

from __future__ import annotations

from appliance.identity.differences import ABSENT, PRESENT, Difference, compare_documents, compare_section
from appliance.identity.section import merged
from appliance.identity.snapshot import without_secrets


def test_what_the_server_adds_is_no_difference() -> None:
    assert compare_section({"a": {"x": 1}}, {"a": {"x": 1, "id": "7"}, "more": 2}, "realm.settings") == ()


def test_a_changed_a_missing_and_a_foreign_member_are_named_by_path() -> None:
    wanted = {"clients": {"web": {"enabled": True}, "cli": {}}}
    found = {"clients": {"web": {"enabled": False}, "other": {"id": "1"}}}
    assert compare_documents(wanted, found, "realm") == (
        Difference("realm.clients.web.enabled", wanted=True, found=False),
        Difference("realm.clients.cli", PRESENT, ABSENT),
        Difference("realm.clients.other", ABSENT, PRESENT),
    )


def test_a_group_may_be_called_like_a_section() -> None:
    document = {"groups": {"people": {"realmRoles": []}, "clients": {"realmRoles": []}}}
    found = {"groups": {name: {"realmRoles": [], "id": "1"} for name in document["groups"]}}
    assert compare_documents(document, found, "realm") == ()


def test_names_are_compared_as_sets_and_steps_in_order() -> None:
    assert compare_section(["b", "a"], ["a", "b"], "realm.x") == ()
    steps = [{"step": "one"}, {"step": "two"}]
    assert compare_section(steps, list(reversed(steps)), "realm.x") == (
        Difference("realm.x", steps, list(reversed(steps))),
    )


def test_a_mapper_that_nobody_wanted_is_a_difference_inside_a_client() -> None:
    found = {"web": {"protocolMappers": {"more": {}}}}
    assert compare_section({"web": {"protocolMappers": {}}}, found, "realm.clients") == (
        Difference("realm.clients.web.protocolMappers.more", ABSENT, PRESENT),
    )


def test_what_should_be_absent_may_be_absent() -> None:
    assert compare_section({"email": {"required": None}}, {"email": {}}, "realm.user_profile") == ()
    assert compare_section({"email": {"required": None}}, {"email": {"required": {}}}, "realm.user_profile")


def test_types_matter() -> None:
    assert compare_section({"a": 1}, {"a": "1"}, "realm.settings")
    assert compare_section({"a": ["x"]}, {"a": "x"}, "realm.settings")


def test_a_snapshot_holds_no_secret() -> None:
    kept = without_secrets({"clientId": "web", "secret": "s", "attributes": {"client.secret.creation.time": "1"}})
    assert kept == {"clientId": "web", "attributes": {}}


def test_merging_keeps_what_the_server_added() -> None:
    assert merged({"id": "1", "a": {"x": 1, "y": 2}}, {"a": {"x": 3}, "b": 4}) == {
        "id": "1",
        "a": {"x": 3, "y": 2},
        "b": 4,
    }
