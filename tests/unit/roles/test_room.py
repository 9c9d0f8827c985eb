"""A change of the assistant's pod pauses nobody where a host has room for both; where none has, it is told why not."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
import yaml

from tests.unit.roles.plugins import load

room = load("filter_plugins/room.py")
POD = {
    "initContainers": [
        {"name": "link", "restartPolicy": "Always", "resources": {"requests": {"cpu": "10m", "memory": "48Mi"}}}
    ],
    "containers": [
        {"name": "engine", "resources": {"requests": {"cpu": "250m", "memory": "1200Mi"}, "limits": {"memory": "2Gi"}}},
        {"name": "gateway", "resources": {"requests": {"cpu": "100m", "memory": "160Mi"}}},
    ],
    "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}],
}


LABELS = {"app.kubernetes.io/name": "assistant"}


def manifest(surge: int = 0, replicas: int = 1) -> str:
    service = {"kind": "Service", "metadata": {"name": "assistant"}}
    strategy = {"rollingUpdate": {"maxSurge": surge}}
    selector = {"matchLabels": LABELS}
    spec = {"replicas": replicas, "strategy": strategy, "selector": selector, "template": {"spec": POD}}
    found = {"kind": "Deployment", "metadata": {"name": "assistant"}, "spec": spec}
    return f"---\n# Source: a comment\n{yaml.safe_dump(service)}---\n---\n{yaml.safe_dump(found)}"


def node(name: str, memory: str = "4Gi", cpu: str = "2", **spec: Any) -> dict[str, Any]:
    status = {
        "allocatable": {"memory": memory, "cpu": cpu, "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    return {"kind": "Node", "metadata": {"name": name}, "spec": spec, "status": status}


def pod(on: str, phase: str = "Running", spec: dict[str, Any] = POD) -> dict[str, Any]:
    about = {"name": "p", "namespace": "sovereign", "labels": {**LABELS, "version": "1"}}
    return {"kind": "Pod", "metadata": about, "spec": {**spec, "nodeName": on}, "status": {"phase": phase}}


def decided(*items: dict[str, Any], together: bool = True, replicas: int = 1) -> tuple[int, str]:
    told = manifest(replicas=replicas)
    found = room.pods_first(json.dumps({"items": items}), told, "assistant", together=together)
    return found["surge"], found["why"]


def test_with_room_beside_the_former_pod_the_next_one_comes_first() -> None:
    assert decided(node("node1"), pod("node1")) == (1, "node1 has room for both")


def test_any_host_with_room_will_do() -> None:
    items = (node("node1", memory="2Gi"), pod("node1"), node("node2", memory="1500Mi"))
    assert decided(*items) == (1, "node2 has room for both")


def test_without_room_the_former_pod_goes_first_and_every_host_says_what_it_lacks() -> None:
    surge, why = decided(node("node1", memory="2Gi"), pod("node1"), node("node2", cpu="100m"))
    assert surge == 0
    assert why == (
        "no host has room for both: node1 lacks memory (640 MiB free of 1408 MiB); node2 lacks cpu (0.1 free of 0.36)"
    )


def test_pods_that_come_besides_need_room_before_one_goes() -> None:
    """Else the next one waits for room that those took, and the former for the next, for ever."""
    both = (node("node1", memory="3Gi"), pod("node1"), node("node2", memory="1500Mi"))
    assert decided(*both, replicas=2) == (1, "node1 and node2 have room for 2 more")
    assert decided(*both, replicas=3) == (0, "hosts have room for 2 of 3 more pods")
    assert decided(*both[:2], replicas=2) == (0, "hosts have room for 1 of 2 more pods")
    assert decided(*both[:2], replicas=1) == (1, "node1 has room for both")


def test_who_is_on_the_way_out_or_somebody_else_s_is_none_of_those_that_stay() -> None:
    leaving, foreign = pod("node1"), pod("node1")
    leaving["metadata"]["deletionTimestamp"] = "2026-11-01T00:00:00Z"
    foreign["metadata"]["namespace"] = "default"
    items = (node("node1", memory="6Gi"), pod("node1"), leaving, foreign)
    assert decided(*items, replicas=2) == (0, "hosts have room for 1 of 2 more pods")


@pytest.mark.parametrize(("memory", "surge"), [("2816Mi", 1), ("2815Mi", 0)])
def test_the_bound_is_what_both_ask_for_to_the_mebibyte(memory: str, surge: int) -> None:
    assert decided(node("node1", memory=memory), pod("node1"))[0] == surge


def test_what_ended_takes_no_room_and_what_waits_for_a_host_is_on_none() -> None:
    waiting = pod("")
    del waiting["spec"]["nodeName"]
    items = (pod("node1", "Succeeded"), pod("node1", "Failed"), waiting, pod("node2"))
    assert decided(node("node1", memory="1408Mi"), *items)[0] == 1


@pytest.mark.parametrize(
    "spec",
    [
        {"unschedulable": True},
        {"taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]},
        {"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]},  # tolerated while it runs alone
    ],
    ids=["drained", "of the control plane", "not ready"],
)
def test_a_host_that_takes_no_such_pod_has_no_room_however_empty(spec: dict[str, Any]) -> None:
    assert decided(node("node1", **spec))[0] == 0


def test_a_taint_that_the_pod_tolerates_or_that_only_asks_keeps_nobody_out() -> None:
    taints = [
        {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"},
        {"key": "slow", "effect": "PreferNoSchedule"},
    ]
    assert decided(node("node1", taints=taints))[0] == 1


def test_a_host_that_is_not_ready_has_no_room() -> None:
    lost = node("node1")
    lost["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    assert decided(lost) == (0, "no host has room for both: node1 is not ready")
    assert decided() == (0, "no host has room for both: there is none")


def test_two_releases_that_cannot_share_a_database_are_never_there_together() -> None:
    assert decided(node("node1"), together=False) == (0, "the former release cannot read the newer one's database")


def test_a_host_that_has_all_the_pods_it_takes_has_no_room() -> None:
    full = node("node1")
    full["status"]["allocatable"]["pods"] = "1"
    assert decided(full, pod("node1", spec={"containers": []}))[0] == 0


@pytest.mark.parametrize("surge", [0, 1])
def test_it_says_what_the_manifest_does_by_itself(surge: int) -> None:
    """A way back brings a strategy with it, for which there may be no room any more."""
    assert room.pods_first(json.dumps({"items": []}), manifest(surge), "assistant")["was"] == surge


def test_what_starts_before_a_pod_counts_where_it_asks_for_more() -> None:
    spec = {
        "initContainers": [
            {"resources": {"requests": {"memory": "100"}}},
            {"restartPolicy": "Always", "resources": {"requests": {"memory": "10"}}},
            {"resources": {"requests": {"memory": "50"}}},
        ],
        "containers": [{"resources": {"requests": {"memory": "40", "cpu": "1"}}}, {}],
        "overhead": {"memory": "5"},
    }
    assert room.asked_by(spec) == {"memory": Decimal(105), "cpu": Decimal(1), "pods": Decimal(1)}


@pytest.mark.parametrize(
    ("text", "value"),
    [("250m", "0.25"), ("2", "2"), ("1.5Gi", "1610612736"), ("1536Ki", "1572864"), ("2k", "2000"), ("1e3", "1000")],
)
def test_quantities_are_kubernetes_own(text: str, value: str) -> None:
    assert room.quantity(text) == Decimal(value)


def test_what_is_no_quantity_is_no_room() -> None:
    with pytest.raises(ValueError, match="no quantity"):
        room.quantity("a lot")
