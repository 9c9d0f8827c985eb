"""A cluster that stands is not begun anew, emptied or turned round by another site file: hosts are looked at first."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.roles.plugins import ANSIBLE
from tests.unit.roles.test_preflight_findings import OURS, RULES, judge, preflight, probe

if TYPE_CHECKING:
    from pathlib import Path

MEMBER: dict[str, Any] = {"site": OURS, "seat": "control-plane"}
WORKER: dict[str, Any] = {"site": OURS, "seat": "worker"}


@pytest.fixture
def stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation went through; ``node1`` and ``node2`` are the control plane, and ``node3`` has the state."""
    for name, value in {"stands": True, "state_host": "node3", "members": ["node1", "node2"]}.items():
        monkeypatch.setitem(RULES, name, value)


@pytest.mark.usefixtures("stands")
def test_a_cluster_that_stands_is_found_by_one_member_and_its_state() -> None:
    rest = {"node2": probe(2, **MEMBER), "node3": probe(3, **WORKER, state=True)}
    assert judge(node1=probe(1, **MEMBER), **rest) == []
    assert judge(node1=probe(1), **rest) == []  # it enters, or does so anew
    assert judge(node1=probe(1), node2=probe(2, **MEMBER), node3=probe(3, **WORKER)) == [("node3", "state")]


@pytest.mark.usefixtures("stands")
@pytest.mark.parametrize("others", [{}, {"site": OURS}, {"site": OURS, "seat": ""}])
def test_hosts_that_are_all_new_begin_no_second_control_plane(others: dict[str, Any]) -> None:
    found = judge(node1=probe(1), node2=probe(2, **others), node3=probe(3, **WORKER, state=True))
    assert found == [("node1", "control plane")]


@pytest.mark.usefixtures("stands")
def test_a_member_that_does_not_answer_may_be_the_one_that_is_left() -> None:
    lost = {"unreachable": True, "msg": "timed out", "address": "192.168.7.2", "node_name": "node2"}
    found = judge(node1=probe(1), node2=lost, node3=probe(3, **WORKER, state=True))
    assert found == [("node2", "reachable")]


@pytest.mark.usefixtures("stands")
def test_of_a_cluster_that_stands_a_host_that_stays_away_may_leave_unless_it_has_the_state() -> None:
    lost = {"unreachable": True, "msg": "timed out", "address": "192.168.7.4", "node_name": "n"}
    hosts = {"node1": probe(1, **MEMBER), "node2": lost, "node3": lost, "node4": lost}
    found = preflight.findings(hosts, RULES)
    told = {f["host"]: "leaves by the site file" in f["hint"] for f in found if f["check"] == "reachable"}
    assert told == {"node2": True, "node3": False, "node4": True}
    begun = preflight.findings(hosts, {**RULES, "stands": False})
    assert not [f for f in begun if "leaves by the site file" in f["hint"]]


def test_where_nothing_stands_yet_all_hosts_may_be_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "state_host", "node2")
    assert judge(node1=probe(1), node2=probe(2)) == []


@pytest.mark.parametrize(("first", "second"), [(MEMBER, MEMBER), (WORKER, WORKER)])
def test_no_host_takes_another_role_while_it_is_in_the_cluster(
    monkeypatch: pytest.MonkeyPatch, first: dict[str, Any], second: dict[str, Any]
) -> None:
    hosts = {"node1": probe(1, **first), "node2": probe(2, **second)}  # the file has node1 in the control plane alone
    monkeypatch.setitem(RULES, "stands", True)  # noqa: FBT003 - the value of a rule
    found = [one for one in judge(**hosts) if one[1] == "role"]
    assert found == [("node2" if first is MEMBER else "node1", "role")]


def test_a_worker_that_is_left_of_a_lost_cluster_may_begin_the_one_that_a_restore_makes() -> None:
    assert judge(node1=probe(1, **WORKER)) == []
    assert judge(node1=probe(1), node2=probe(2, **MEMBER)) == [("node2", "role")]  # its API server would run on


def test_a_host_on_its_way_in_goes_on_in_the_role_that_the_file_has() -> None:
    begun = {"site": OURS, "cluster_traces": ["/etc/kubernetes/kubelet.conf"]}
    assert judge(node1=probe(1, **begun), node2=probe(2, **begun)) == []


@pytest.mark.parametrize(
    ("there", "told"),
    [
        ((), ["", False]),
        (("mark", "kubelet.conf"), ["control-plane", False]),
        (("kubelet.conf", "volumes/postgresql/pg"), ["worker", False]),
        (("kubelet.conf", "kube-apiserver.yaml"), ["", False]),
        (("volumes/postgresql/pg", "volumes/audit/log"), ["", True]),
    ],
)
def test_the_look_tells_a_member_from_a_worker_and_from_one_that_was_cut_off(
    tmp_path: Path, there: tuple[str, ...], told: list[Any]
) -> None:
    source = (ANSIBLE / "roles/validate_inputs/files/probe.py").read_text()
    for place in ("/etc/sovereign/control-plane", "/etc/kubernetes/kubelet.conf", "/etc/kubernetes/manifests/"):
        assert place in source
    for before, after in (
        ("/etc/sovereign/control-plane", "mark"),
        ("/etc/kubernetes/kubelet.conf", "kubelet.conf"),
        ("/etc/kubernetes/manifests/", ""),
        ("/var/lib/sovereign/", ""),
    ):
        source = source.replace(before, f"{tmp_path}/{after}")
    for name in there:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    asked = source.partition("if __name__")[0] + "\nprint(json.dumps([seat(), all(p.exists() for p in STATE)]))\n"
    done = subprocess.run(
        [sys.executable, "-"], input=asked, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]}
    )
    assert done.stdout.strip() == str(told).replace("'", '"').replace("True", "true").replace("False", "false")
