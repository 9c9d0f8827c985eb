"""Every kind of event has one writer, and every writer ids that nobody else can use."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import appliance.audit
from appliance.audit.errors import NotYoursError
from appliance.audit.events import model_load
from appliance.audit.roles import CLUSTER, GATEWAY, IDENTITY, OPERATOR, WRITER, Role, Roles, engine, kind_of
from tests.audit.former import former
from tests.audit.samples import EVENTS

WORDS = ("class_name", "activity_name")
ROLES = (GATEWAY, IDENTITY, CLUSTER, OPERATOR, WRITER, engine("demo"))
OWNER = {
    "sign_in": GATEWAY,
    "sign_out": GATEWAY,
    "request": GATEWAY,
    "answer": GATEWAY,
    "refusal": GATEWAY,
    "log_read": GATEWAY,
    "memory_read": GATEWAY,
    "feedback": GATEWAY,
    "expert_act": GATEWAY,
    "learning_decision": OPERATOR,
    "rollout_decision": GATEWAY,
    "document_change": GATEWAY,
    "model_load": engine("demo"),
    "install_step": OPERATOR,
    "model_change": OPERATOR,
    "admin_change": OPERATOR,
    "log_recovery": WRITER,
    "log_pruned": WRITER,
    "clock_behind": WRITER,
    "identity_sign_in": IDENTITY,
    "identity_sign_out": IDENTITY,
    "account_change": IDENTITY,
    "identity_change": IDENTITY,
    "identity_reading": IDENTITY,
    "api_call": CLUSTER,
    "network_refusal": CLUSTER,
    "cluster_reading": CLUSTER,
}


def builders() -> set[str]:
    """Every public function of the modules that build events."""
    found = set()
    for module in pkgutil.iter_modules(appliance.audit.__path__):
        if module.name.startswith("events"):
            name = f"appliance.audit.{module.name}"
            members = inspect.getmembers(importlib.import_module(name), inspect.isfunction)
            found |= {n for n, f in members if not n.startswith("_") and f.__module__ == name}
    return found


def test_every_builder_of_events_is_in_the_table() -> None:
    assert builders() == set(EVENTS) == set(OWNER)


@pytest.mark.parametrize("kind", EVENTS)
def test_every_kind_belongs_to_exactly_one_role(kind: str) -> None:
    event = EVENTS[kind][0]
    assert kind_of(event) == kind_of(former(event)) == kind
    assert [role for role in ROLES if kind in role.kinds] == [OWNER[kind]]
    assert [role for role in ROLES if role.owns(role.id("x"), event)] == [OWNER[kind]]


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_no_role_appends_anything_under_another_roles_id(role: Role, kind: str) -> None:
    others = [other.id("x") for other in ROLES if other != role]
    assert not any(role.owns(other, EVENTS[kind][0]) for other in others)


@pytest.mark.parametrize(
    "entry_id",
    [
        "engine/demo",
        "engine/demo2/load/1",
        "engine/dem/load/1",
        "engine//demo/1",
        " engine/demo/1",
        "ENGINE/demo/1",
        "",
    ],
)
def test_an_id_has_the_whole_role_in_front(entry_id: str) -> None:
    assert not engine("demo").owns(entry_id, EVENTS["model_load"][0])


def test_an_engine_speaks_of_its_own_model_only() -> None:
    other = model_load(model_name="other", model_digest="sha256:a5")
    assert kind_of(other) == "model_load"
    assert not engine("demo").owns("engine/demo/load/1", other)
    half = EVENTS["model_load"][0] | {"ai_model": other["ai_model"]}
    assert not engine("demo").owns("engine/demo/load/1", half)


@pytest.mark.parametrize("worn", EVENTS)
@pytest.mark.parametrize("field", ["class_uid", "type_uid", "activity_id", "category_uid", *WORDS])
def test_an_event_whose_two_classifications_disagree_is_of_no_kind(worn: str, field: str) -> None:
    claimed = EVENTS["model_load"][0]
    other = former(EVENTS[worn][0])
    if other[field] != former(claimed)[field]:
        assert kind_of(claimed | {field: other[field]}) is None
        assert kind_of(former(claimed) | {field: other[field]}) is None


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize("wrong", [None, "", 6002, ["Application Lifecycle"]], ids=str)
@pytest.mark.parametrize("field", WORDS)
def test_a_word_that_is_none_of_its_number_makes_an_event_one_of_no_kind(field: str, wrong: object, kind: str) -> None:
    assert kind_of(EVENTS[kind][0] | {field: wrong}) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"unmapped": None},
        {"unmapped": {}},
        {"unmapped": {"sovereign": []}},
        {"unmapped": {"sovereign": {"kind": ["model_load"]}}},
        {"unmapped": {"sovereign": {"kind": "model_load "}}},
        {"activity_id": True},
        {"activity_id": None},
        {"activity_id": [3]},
        {"activity_id": 77},
        {"class_uid": "6002"},
    ],
    ids=str,
)
def test_a_malformed_event_is_of_no_kind(changes: dict[str, object]) -> None:
    assert kind_of(EVENTS["model_load"][0] | changes) is None


def test_a_uid_without_a_role_is_refused_and_so_is_a_peer_without_credentials() -> None:
    roles = Roles.of_holders([(7, GATEWAY), (None, OPERATOR)])
    assert roles.of(7) == (GATEWAY,)
    for uid in (0, 8, None):
        with pytest.raises(NotYoursError, match="writes nothing"):
            roles.of(uid)


def test_one_user_for_everything_has_every_role_and_still_keeps_to_each_roles_ids() -> None:
    roles = Roles.of_holders([(7, GATEWAY), (7, OPERATOR), (7, engine("demo"))])
    roles.admit(7, "gateway/1", EVENTS["sign_in"][0])
    roles.admit(7, "operator/1", EVENTS["install_step"][0])
    with pytest.raises(NotYoursError, match="uid 7 may not append sign_in as 'operator/1'"):
        roles.admit(7, "operator/1", EVENTS["sign_in"][0])


def test_a_refusal_shows_no_control_characters_of_the_id() -> None:
    with pytest.raises(NotYoursError) as refused:
        Roles.of_holders([(7, GATEWAY)]).admit(7, "\x1b[2J\n\u202e", EVENTS["sign_in"][0])
    assert refused.value.cause.isascii()
    assert refused.value.cause.isprintable()
