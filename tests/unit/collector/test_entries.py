"""What a host observed becomes an entry under an id of the host and the place, with what an auditor asks for in it."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.audit.entry import encode_entry
from appliance.audit.roles import CLUSTER, kind_of
from appliance.collector.entries import entry
from tests.audit.former import in_words
from tests.unit.roles.observers import calls, deliver, event

NAMED = "2026-11-26T12:00:01.000001Z/0"


def made(role: str = "control-plane", **more: Any) -> tuple[str, dict[str, Any]]:
    return told({"kind": "call", "at": NAMED, **calls.short(event(1, **more))}, "node1", role)


def told(item: dict[str, Any], host: str, role: str) -> tuple[str, dict[str, Any]]:
    """The entry of what ``host`` sends."""
    return entry(deliver.spelled(item), host, role)


def test_a_call_is_api_activity_of_its_user_under_the_place_where_it_was_noted() -> None:
    entry_id, found = made(verb="delete")
    assert entry_id == f"cluster/node1/call/{NAMED}"
    assert (kind_of(found), found["class_uid"], in_words(found)["activity_name"]) == ("api_call", 6003, "Delete")
    assert found["actor"]["user"]["uid"] == "kubernetes-admin"
    assert found["resources"] == [{"type": "pods", "namespace": "default", "name": "pod-1"}]
    assert found["src_endpoint"] == {"ip": "10.77.0.1"}
    assert found["metadata"]["original_time"] == "2026-11-26T12:00:01.000+00:00"
    assert CLUSTER.owns(entry_id, found)


EXEC = {"resource": "pods", "subresource": "exec", "namespace": "sovereign", "name": "audit-0"}


@pytest.mark.parametrize(
    ("more", "activity", "severity"),
    [
        ({"verb": "get", "objectRef": EXEC}, "Read", 3),  # a websocket asks by reading
        ({"verb": "create", "objectRef": EXEC}, "Create", 3),
        ({"verb": "list", "objectRef": {"resource": "secrets"}}, "Read", 2),
        ({"verb": "patch", "objectRef": {"apiGroup": "rbac.authorization.k8s.io", "resource": "roles"}}, "Update", 3),
        ({"verb": "patch", "objectRef": {"resource": "pods"}}, "Update", 1),
        ({"verb": "create", "responseStatus": {"code": 403}}, "Create", 2),
        ({"verb": "never-heard-of"}, "Create", 1),
    ],
)
def test_ways_into_pods_and_to_power_weigh_more(more: dict[str, Any], activity: str, severity: int) -> None:
    _, found = made(**more)
    assert (in_words(found)["activity_name"], found["severity_id"]) == (activity, severity)
    assert (found["status_id"] == 2) == ("responseStatus" in more)


@pytest.mark.parametrize(
    ("user", "kind"),
    [("kubernetes-admin", 1), ("system:node:node1", 3), ("system:serviceaccount:kube-system:cilium", 4), ("", 1)],
)
def test_people_hosts_and_service_accounts_are_told_apart(user: str, kind: int) -> None:
    assert made(user={"username": user})[1]["actor"]["user"]["type_id"] == kind


def test_who_spoke_for_another_is_named_with_whom_they_spoke_for() -> None:
    _, found = made(impersonatedUser={"username": "system:admin"})
    assert found["actor"]["user"]["uid"] == "kubernetes-admin"
    assert found["unmapped"]["sovereign"]["impersonated"] == "system:admin"


def test_refused_packets_are_network_activity_with_both_ends() -> None:
    item = {
        "kind": "refused", "number": "0123456789abcdef/7", "by": "policy", "source": "default/outsider",
        "destination": "203.0.113.9", "protocol": "tcp", "port": 443, "packets": 3,
    }  # fmt: skip
    entry_id, found = told(item, "node2", "worker")
    assert entry_id == "cluster/node2/refused/0123456789abcdef/7"
    assert (found["class_uid"], in_words(found)["activity_name"], in_words(found)["disposition"]) == (
        4001,
        "Refuse",
        "Blocked",
    )
    assert found["src_endpoint"]["name"] == "default/outsider"
    assert found["dst_endpoint"] == {"name": "203.0.113.9", "port": 443}
    assert found["traffic"]["packets"] == 3
    assert CLUSTER.owns(entry_id, found)


@pytest.mark.parametrize(
    ("why", "gap"), [("begun", False), ("doubled", True), ("gone", True), ("shortened", True), ("unreadable", True)]
)
def test_a_gap_is_an_entry_that_failed_and_a_beginning_is_not(why: str, *, gap: bool) -> None:
    _, found = told({"kind": "reading", "of": "flows", "at": "x/0", "why": why, "size": 7}, "node2", "worker")
    assert (found["unmapped"]["sovereign"]["gap"], found["status_id"] == 2) == (gap, gap)


def test_the_largest_call_fits_an_entry() -> None:
    wide = "\u202e" * 10**4
    user = {"username": wide, "groups": [wide] * 99}
    reference = dict.fromkeys(("apiGroup", "resource", "subresource", "namespace", "name"), wide)
    entry_id, found = made(user=user, objectRef=reference, userAgent=wide, verb=wide, auditID=wide)
    assert len(encode_entry(found, entry_id)) < 32_000


def test_gaps_that_were_put_together_are_counted() -> None:
    gap = {"kind": "reading", "of": "flows", "at": "x/0", "why": "gone", "size": 0, "gaps": 300}
    assert told(gap, "node2", "worker")[1]["unmapped"]["sovereign"]["gaps"] == 300
    assert "gaps" not in told({**gap, "gaps": 1}, "node2", "worker")[1]["unmapped"]["sovereign"]
