"""Of a call its parts are told, bounded and of one type whatever the line holds; bodies and queries never."""

from __future__ import annotations

import json
from typing import Any

import pytest

from appliance.collector.told import MAX_ITEM_BYTES, Call, Reading, Refused, read_item
from tests.unit.roles.observers import calls, deliver, event, line

HOSTILE = "\x1b[2J\n\u202e\x00é\ud800"


def told(**more: Any) -> dict[str, Any]:
    return {"kind": "call", "at": "x/0", **calls.short(event(1, **more))}


def taken(item: dict[str, Any]) -> Call | Refused | Reading | None:
    """As the collector reads what a host sends."""
    return read_item(deliver.spelled(item))


def test_who_did_what_to_what_from_where_and_how_it_ended() -> None:
    found = taken(told())
    assert isinstance(found, Call)
    assert (found.user, found.verb, found.resource, found.namespace, found.name) == (
        "kubernetes-admin", "create", "pods", "default", "pod-1",
    )  # fmt: skip
    assert (found.code, found.stage, found.decision) == (201, "ResponseComplete", "allow")
    assert found.source == "10.77.0.1"  # every address before the last is what the caller says


def test_the_query_which_holds_commands_is_in_nothing_that_is_told() -> None:
    for more in ({}, {"objectRef": None}, {"objectRef": {"resource": "pods", "subresource": "exec"}}):
        assert "secret-1" not in json.dumps(told(**more))
    assert told(objectRef=None)["path"] == "/api/v1/namespaces/default/pods"


@pytest.mark.parametrize("body", ["requestObject", "responseObject"])
def test_a_body_is_never_told(body: str) -> None:
    assert "CANARY" not in json.dumps(told(**{body: {"data": "CANARY"}}))


FIELDS = ("auditID", "stage", "requestURI", "verb", "user", "sourceIPs", "userAgent", "objectRef", "responseStatus",
          "requestReceivedTimestamp", "annotations", "impersonatedUser")  # fmt: skip


@pytest.mark.parametrize(
    "value", [None, 7, "text", [], {}, [7, {}], {"username": 7, "groups": 7}, HOSTILE, "x" * 10**6]
)
@pytest.mark.parametrize("field", FIELDS)
def test_whatever_a_field_holds_the_rest_is_told_and_the_collector_takes_it(field: str, value: Any) -> None:
    assert isinstance(taken(told(**{field: value})), Call)
    assert len(json.dumps(told(**{field: value}))) < 8000


@pytest.mark.parametrize("value", [HOSTILE * 1000, "\x00" * 5000, "é" * 5000, "\U0010ffff" * 5000, '"' * 5000])
def test_long_and_hostile_texts_are_cut_so_that_the_collector_takes_every_call(value: str) -> None:
    user = {"username": value, "groups": [value] * 99}
    more = dict.fromkeys(("auditID", "stage", "verb", "userAgent", "requestReceivedTimestamp"), value)
    where = dict.fromkeys(("apiGroup", "resource", "subresource", "namespace", "name"), value)
    annotations = {"authorization.k8s.io/decision": value}
    found = told(user=user, impersonatedUser=user, objectRef=where, sourceIPs=[value], annotations=annotations, **more)
    assert len(deliver.spelled(found)) < MAX_ITEM_BYTES
    assert isinstance(taken(found), Call)


@pytest.mark.parametrize(
    "text",
    [b"", b"null", b"[]", b'"x"', b"{", b"{}", b'{"kind":"Status"}', b"\xff\xfe", b"[" * 10**5, b"\0" * 4096],
    ids=["empty", "null", "list", "text", "open", "object", "other", "no UTF-8", "deep", "zeros"],
)
def test_a_line_that_is_no_event_is_told_to_be_none(text: bytes) -> None:
    assert calls.event_of(text) == (None, len(text))


def test_a_line_that_is_no_utf_8_is_read_all_the_same() -> None:
    damaged = line(1).replace(b"kubectl/", b"kub\xff\xfe/")
    assert calls.event_of(damaged)[0]["auditID"] == "call-1"


@pytest.mark.parametrize("before", [line(1)[:200], b"\0" * 512, b"\xff" * 7])
def test_a_call_that_follows_half_a_line_is_read_and_the_half_is_counted(before: bytes) -> None:
    found, unread = calls.event_of(before + line(2))
    assert (found["auditID"], unread) == ("call-2", len(before))


def test_no_text_of_a_caller_s_passes_for_a_call_of_its_own() -> None:
    forged = line(9).decode().strip()
    found, unread = calls.event_of(line(1, userAgent=forged, requestURI=f"/{forged}"))
    assert (found["auditID"], unread) == ("call-1", 0)


class Bounded:
    """Calls one a second, or as given; how many are told, and what the last of them says was left out."""

    def __init__(self, **more: Any) -> None:
        self.bound, self.call = calls.Bound({}), calls.short(event(1, **more))

    def run(self, count: int, start: float, step: float = 0.0) -> list[int]:
        made = [self.bound.admit(self.call, start + i * step) for i in range(count)]
        return [one.get("left_out", 0) for one in made if one]


@pytest.mark.parametrize("code", [200, 201, 500, 504])
def test_whatever_people_do_is_told_however_often(code: int) -> None:
    """Also what the server failed at, which may be done all the same."""
    assert len(Bounded(responseStatus={"code": code}).run(5000, 1000.0)) == 5000


@pytest.mark.parametrize(
    ("more", "most"),
    [
        ({"responseStatus": {"code": 403}}, 10),
        ({"responseStatus": {"code": 401}, "user": {}}, 10),
        ({"responseStatus": {"code": 404}}, 10),
        ({"responseStatus": {"code": 409}}, 10),
        ({"responseStatus": {"code": 422}}, 10),
        ({"user": {"username": "system:serviceaccount:kube-system:cilium"}}, 60),
        ({"user": {"username": "system:node:node1"}}, 60),
    ],
    ids=["forbidden", "unknown", "no such thing", "conflict", "invalid", "service account", "host"],
)
def test_failures_and_programs_are_bound_and_the_next_says_how_many_were_left_out(
    more: dict[str, Any], most: int
) -> None:
    bounded = Bounded(**more)
    assert bounded.run(5000, 1000.0) == [0] * most
    assert bounded.run(1, 1030.0) == [5000 - most]
    assert len(bounded.run(600, 1030.0, 1.0)) <= most * 10 + most


def test_a_clock_that_goes_back_frees_nothing() -> None:
    bounded = Bounded(responseStatus={"code": 403})
    bounded.run(10, 1000.0)
    assert bounded.run(100, 10.0) == []


def test_a_clock_that_jumped_ahead_and_was_set_back_withholds_nothing_for_longer_than_others() -> None:
    bounded = Bounded(responseStatus={"code": 403})
    bounded.run(20, 1_000_000.0)
    assert len(bounded.run(600, 1000.0, 1.0)) >= 90


def test_calls_that_come_out_of_order_are_no_way_to_be_told_more_often() -> None:
    bounded = Bounded(responseStatus={"code": 403})
    bounded.run(10, 1000.0)
    assert [one for at in (1000.5, 970.0) * 100 for one in bounded.run(1, at)] == []


def test_kinds_beyond_the_bound_share_one_and_idle_ones_are_let_go() -> None:
    bound = calls.Bound({})
    for number in range(2000):
        user = {"username": f"stranger-{number}"}
        bound.admit(calls.short(event(1, user=user, responseStatus={"code": 403})), 1000.0)
    assert len(bound.state) <= calls.Bound.KEYS + 1
    bound.forget(2000.0)
    assert list(bound.state) == ["10 others"]  # of which some were left out
