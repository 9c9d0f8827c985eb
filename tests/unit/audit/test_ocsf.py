"""Every event that the log can hold is one that OCSF's own definitions allow; see ``tests.audit.ocsf_definitions``."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit.events_cluster import api_call
from appliance.audit.roles import KINDS
from tests.audit.every_event import builders, cases, logged
from tests.audit.former import former
from tests.audit.ocsf_schema import faults
from tests.audit.samples import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable


@cache
def _made() -> tuple[tuple[str, dict[str, Any]], ...]:
    return tuple(cases())


@pytest.mark.parametrize("name", sorted({*builders(), "interrupted"}))
def test_whatever_a_builder_is_given_its_event_is_as_ocsf_defines_it(name: str) -> None:
    mine = [event for builder, event in _made() if builder == name]
    assert len(mine) > 2
    found = {fault for event in mine for one in (event, former(event)) for fault in faults(one)}
    assert not found


def test_every_kind_of_entry_is_among_them() -> None:
    made = {event["unmapped"]["sovereign"]["kind"] for _, event in _made()}
    assert made == KINDS == set(EVENTS)


@pytest.mark.parametrize("source", ["fe80::1%\ud800", "fe80::1%a\nb", "fe80::1%eth0", "::1%" + "x" * 40])
def test_an_address_with_a_zone_which_may_be_any_text_is_a_name(source: str) -> None:
    event = logged(api_call(host="h", call_id="c", stage="s", verb="get", user="u", source=source))
    assert "ip" not in event["src_endpoint"]
    assert not faults(event)


def _without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda event: event.pop(name)


def _with(**more: Any) -> Callable[[dict[str, Any]], object]:
    return lambda event: event.update(more)


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("request", _without("api"), "'api' is a required property"),
        ("request", lambda event: event["api"].pop("operation"), "'operation' is a required property"),
        ("request", _with(ours={}), "'ours' was unexpected"),
        ("request", lambda event: event["actor"]["user"].update(nick="x"), "'nick' was unexpected"),
        ("request", lambda event: event["metadata"].pop("profiles"), "'ai_model', 'message_context' were unexpected"),
        ("request", _with(severity_id=7), "7 is not one of"),
        ("request", _with(severity_id="1"), "'1' is not of type 'integer'"),
        ("request", _with(time=1.5), "1.5 is not of type 'integer'"),
        ("request", _with(type_uid=600302), "is not of this class and activity"),
        ("request", _with(activity_name="Read"), "'Read' is not 'Create'"),
        ("request", _with(class_uid=6001), "is no class that we use"),
        ("refusal", _with(disposition="Allowed"), "'Allowed' is not 'Blocked'"),
        ("sign_in", _without("service"), "is not valid under any of the given schemas"),
        ("network_refusal", lambda event: event["dst_endpoint"].update(port=65536), "greater than the maximum"),
        ("api_call", _with(src_endpoint={"ip": "not an address"}), "does not match"),
        ("api_call", _with(resources=[{}]), "is not valid under any of the given schemas"),
    ],
)
def test_what_ocsf_does_not_allow_is_seen(kind: str, change: Callable[[dict[str, Any]], object], said: str) -> None:
    event = logged(EVENTS[kind][0])
    assert not faults(event)
    change(event)
    found = faults(event)
    assert any(said in fault for fault in found), found
