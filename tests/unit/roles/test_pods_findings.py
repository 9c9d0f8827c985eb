"""A site whose models no host has the memory for is told so before anything is brought there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.roles.plugins import load

pods = load("filter_plugins/pods.py")
RULES = {
    "memory_mib": 1700,
    "members": ["node1"],
    "members_take_pods": False,
    "stands": False,
    "pods": {"count": 1, "memory_mib": 900},
}


def hosts(**memory: int) -> dict[str, Any]:
    return {name: {"stdout": json.dumps({"memory_mib": size})} for name, size in memory.items()}


def found(probes: dict[str, Any], count: int = 1, each: int = 900, **rules: Any) -> list[str]:
    told = pods.findings(probes, {**RULES, "pods": {"count": count, "memory_mib": each}, **rules})
    assert all((one["host"], one["check"]) == ("all", "models") and one["hint"] for one in told)
    return [one["found"] for one in told]


@pytest.mark.parametrize(("memory", "told"), [(2600, 0), (2599, 1)])
def test_models_fit_to_the_mebibyte_beside_what_a_host_needs_itself(memory: int, told: int) -> None:
    assert len(found(hosts(node1=2000, node2=memory))) == told


def test_a_model_that_is_too_large_for_every_host_is_told_with_the_host_that_has_most() -> None:
    said = "the models of one pod need 30000 MiB; node3, which has most, has 14300 for them"
    assert found(hosts(node1=64000, node2=8000, node3=16000), each=30000) == [said]
    assert found(hosts(node1=64000, node2=8000), each=30000, members_take_pods=True) == []


def test_every_pod_of_several_needs_its_own_room_on_one_host_or_on_many() -> None:
    assert found(hosts(node1=2000, node2=2700, node3=2700), count=2) == []
    assert found(hosts(node1=2000, node2=3500), count=2) == []
    said = "the models of one pod need 900 MiB; hosts have room for 2 of 3 pods"
    assert found(hosts(node1=2000, node2=2700, node3=2700), count=3) == [said]


def test_without_hosts_that_take_pods_the_cause_is_that() -> None:
    assert found(hosts(node1=64000)) == [
        "no host takes pods: there are no workers, and the control plane's hosts run no others"
    ]
    assert found(hosts(node1=64000), members_take_pods=True) == []


@pytest.mark.parametrize("lost", [{"unreachable": True, "msg": "no answer"}, {"stdout": "no json"}])
def test_a_host_that_was_not_read_may_have_what_is_missing(lost: dict[str, Any]) -> None:
    """Another finding says that it was not."""
    assert found({**hosts(node1=2000, node2=2000), "node3": lost}) == []


def test_a_site_without_an_assistant_needs_none() -> None:
    assert pods.findings(hosts(node1=2000), {**RULES, "pods": {}}) == []


def test_a_cluster_that_stands_is_not_refused_for_what_runs_on_it() -> None:
    tight = hosts(node1=2000, node2=2300)
    assert found(tight)
    assert found(tight, stands=True) == []
