"""What Ansible tells becomes findings, failures with a next step, and counts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from appliance.cluster.events import Ended, EventReader, Failure, Finding, Said, TaskStarted
from appliance.cluster.playbook import HostsRefusedError, outcome, table
from appliance.errors import DeploymentError


def line(**fields: Any) -> str:
    return json.dumps(fields) + "\n"


def test_a_failure_carries_the_task_that_was_under_way() -> None:
    reader = EventReader()
    assert reader.read(line(event="task", role="firewall", name="Rules")) == TaskStarted("firewall", "Rules")
    assert reader.read(line(event="done", host="node1", changed=True)) is None
    failed = reader.read(line(event="failed", host="node2", cause="no space", hint="make room"))
    assert failed == Failure("node2", "firewall", "Rules", "no space", "make room")
    lost = reader.read(line(event="unreachable", host="node3", cause="timed out"))
    assert isinstance(lost, Failure)
    assert (lost.host, lost.task, "is on" in lost.hint) == ("node3", "Rules", True)


def test_findings_and_the_end_are_told() -> None:
    reader = EventReader()
    finding = {"host": "node1", "check": "swap", "found": "on", "hint": "swapoff"}
    assert reader.read(line(event="finding", **finding)) == Finding(**finding)
    assert reader.read(line(event="end", hosts={"node1": {"changed": 3, "ok": 9}})) == Ended({"node1": 3})


@pytest.mark.parametrize("text", ["ERROR! no such playbook", "[1, 2]", '{"no": "event"}'])
def test_lines_that_are_no_events_are_kept(text: str) -> None:
    assert EventReader().read(text + "\n") == Said(text)


@pytest.mark.parametrize("text", ["", "\n", '{"event": "play", "name": "x"}', '{"event": "of a later version"}'])
def test_lines_of_no_interest_are_none(text: str) -> None:
    assert EventReader().read(text) is None


def test_the_outcome_of_a_good_run_is_what_changed() -> None:
    assert outcome(0, [TaskStarted("a", "b"), Ended({"node1": 2, "node2": 0})]) == {"node1": 2, "node2": 0}


def test_findings_refuse_the_run_whatever_else_was_told() -> None:
    found = (Finding("node1", "swap", "on", "off"), Finding("node2", "disk", "full", "room"))
    failure = Failure("node1", "validate_inputs", "Refuse", "2 findings", "")
    with pytest.raises(HostsRefusedError, match="2 findings on 2 hosts; nothing was changed") as caught:
        outcome(2, [*found, failure, Ended({})])
    assert (caught.value.exit_code, caught.value.findings) == (4, found)


def test_the_first_failure_is_told_with_host_role_task_and_cause() -> None:
    failures = [Failure(f"node{n}", "containerd", "Unit", "denied", "look") for n in (1, 2, 3)]
    with pytest.raises(DeploymentError, match=r"^node1: containerd: unit: denied \(and 2 more\)$") as caught:
        outcome(2, [*failures, Ended({})])
    assert caught.value.hint == "look"


def test_a_host_that_the_run_goes_on_without_does_not_fail_it() -> None:
    lines = (
        '{"event": "task", "role": "worker", "name": "Undo"}',
        '{"event": "unreachable", "host": "node2", "cause": "x"',
    )
    reader = EventReader()
    reader.read(lines[0])
    passed, refused = (reader.read(lines[1] + more) for more in (', "passed": true}', "}"))
    assert isinstance(passed, Failure)
    assert isinstance(refused, Failure)
    assert outcome(0, [passed, Ended({"node1": 1})]) == {"node1": 1}
    with pytest.raises(DeploymentError, match=r"^node2: worker: undo: x$"):
        outcome(4, [refused, Ended({"node1": 1})])


def test_what_was_done_about_a_failure_is_told_with_it() -> None:
    first = Failure("node1", "assistant", "Install", "not ready", "look")
    again = Failure("node1", "assistant", "It did not come to", "not ready; the former release serves again", "")
    with pytest.raises(DeploymentError, match=r"install: not ready; the former release serves again \(and 1 more\)$"):
        outcome(2, [first, again, Ended({})])


@pytest.mark.parametrize("seen", [[], [Said("ERROR! the inventory is wrong")]])
def test_a_run_without_an_end_is_a_failure(seen: list[Said]) -> None:
    with pytest.raises(DeploymentError, match="ansible ended with status 4") as caught:
        outcome(4, seen)
    assert (seen[0].text if seen else "it said nothing") in caught.value.cause


def test_the_table_has_a_line_for_every_finding_and_columns_line_up() -> None:
    text = table([Finding("n1", "swap", "on: /dev/sda2", "swapoff"), Finding("long-name", "disk", "full", "make room")])
    head, first, second = text.splitlines()
    assert head.split() == ["host", "check", "found", "hint"]
    assert head.index("hint") == first.index("swapoff") == second.index("make room")
