"""What tried to leave is named: by whom, whither, how often and when; by firewalls and network policies alike."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from appliance.cluster.egress import attempts, counters, incomplete, silent
from appliance.cluster.reading import checked
from tests.unit.cluster.readings import NOW, known, pod, readings
from tests.unit.roles.plugins import load

if TYPE_CHECKING:
    from pathlib import Path

look = load("roles/looking/files/look.py")
BEYOND = "203.0.113.9"


def row(source: str, **more: object) -> dict[str, object]:
    told = {"source": source, "destination": BEYOND, "protocol": "tcp", "port": 443, "count": 3}
    return {**told, "last_seen": NOW.timestamp(), **more}


def test_pods_and_hosts_are_named_and_the_latest_comes_first() -> None:
    told = readings()
    rows = [row("10.244.1.7", last_seen=NOW.timestamp() - 60), row("10.1.0.1"), row("198.51.100.7", count=1)]
    told["node2"]["firewall"] = {"counters": {"refused_out": 7}, "tried": rows, "room": 4096}
    told["node2"]["denied"] = [
        row("sovereign/audit-0", last_seen="2026-11-26T13:00:00.123456789Z", port=53, protocol="udp")
    ]
    found = attempts(told, known())
    assert [(a.source, a.destination, a.port, a.count, a.by) for a in found] == [
        ("sovereign/audit-0", BEYOND, 53, 3, "policy"),
        ("node1", BEYOND, 443, 3, "firewall"),
        ("198.51.100.7", BEYOND, 443, 1, "firewall"),
        ("sovereign/assistant-5d9-abc", BEYOND, 443, 3, "firewall"),
    ]
    assert found[0].last_seen == "2026-11-26T13:00:00+00:00"
    assert counters(told) == {"node2": {"refused_out": 7}}


def test_a_host_tells_what_its_firewall_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    element = {
        "val": {"concat": ["10.244.1.7", BEYOND, "tcp", 443]},
        "expires": 604740,
        "counter": {"packets": 4, "bytes": 240},
    }
    listed = [
        {"counter": {"name": "refused_out", "packets": 9, "bytes": 1}},
        {"set": {"name": "hosts", "elem": ["10.1.0.1"]}},
        {"set": {"name": "tried", "timeout": 604800, "size": 4096, "elem": [{"elem": element}]}},
    ]
    monkeypatch.setattr(look, "ran", lambda *_: json.dumps({"nftables": listed}))
    found = look.refused(1000.0)
    assert (found["counters"], found["room"]) == ({"refused_out": 9}, 4096)
    assert found["tried"] == [
        {"source": "10.244.1.7", "destination": BEYOND, "protocol": "tcp", "port": 443, "count": 4, "last_seen": 940.0}
    ]


def test_a_host_tells_denied_flows_in_one_row_each_also_when_the_last_line_is_half_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def flow(second: int, **more: object) -> str:
        about = {
            "time": f"2026-11-26T12:00:0{second}Z",
            "verdict": "DROPPED",
            "drop_reason_desc": "POLICY_DENIED",
            "IP": {"source": "10.244.1.7", "destination": BEYOND},
            "l4": {"TCP": {"source_port": 40000 + second, "destination_port": 443}},
            "source": {"namespace": "sovereign", "pod_name": "assistant-5d9-abc"},
            "destination": {"labels": ["reserved:world"]},
        }
        return json.dumps({"flow": {**about, **more}, "node_name": "node2"})

    (tmp_path / "denied-1.log").write_text(flow(1) + "\n")
    lines = [flow(3), flow(2), flow(2, source={}), flow(1, l4={})[:40]]
    (tmp_path / "denied.log").write_text("\n".join(lines))
    monkeypatch.setattr(look, "DENIED", tmp_path)
    monkeypatch.setattr(look, "AGENT", tmp_path)
    rows = {(r["source"], r["destination"], r["protocol"], r["port"]): r for r in look.denied()}
    ours = rows["sovereign/assistant-5d9-abc", BEYOND, "tcp", 443]
    assert (ours["count"], ours["last_seen"]) == (3, "2026-11-26T12:00:03Z")
    assert rows["10.244.1.7", BEYOND, "tcp", 443]["count"] == 1
    assert len(rows) == 2


def tell(told: dict[str, Any], *rows: dict[str, object], room: int = 4096, out: int = 0) -> None:
    """Both hosts tell; the second what its firewall refused."""
    for reading in told.values():
        reading |= {"firewall": {"counters": {}, "tried": [], "room": 4096}, "denied": []}
    told["node2"]["firewall"] = {"counters": {"refused_out": out}, "tried": list(rows), "room": room}


def test_a_worker_is_not_believed_about_pods_of_the_cluster() -> None:
    told = readings()
    tell(told, row("10.244.1.66"))
    lie = json.loads(json.dumps(told["node1"]["cluster"]))
    lie["pods"].append(pod("innocent-1", "node1", "10.244.1.66", "innocent"))
    told = {"node2": {**told["node2"], "cluster": lie}, "node1": told["node1"]}
    assert [each.source for each in attempts(told, known())] == ["10.244.1.66"]


@pytest.mark.parametrize(
    ("change", "source"),
    [
        ({}, "sovereign/later-1"),
        ({"ended": True}, "10.244.1.66"),
        ({"started": "2026-11-26T12:00:01Z"}, "10.244.1.66"),
        ({"started": ""}, "10.244.1.66"),
    ],
    ids=["was there", "has ended", "came later", "not started"],
)
def test_a_pod_is_blamed_only_for_what_was_seen_while_it_had_the_address(change: dict[str, Any], source: str) -> None:
    told = readings()
    tell(told, row("10.244.1.66"))
    told["node1"]["cluster"]["pods"].append({**pod("later-1", "node2", "10.244.1.66", "later"), **change})
    assert [each.source for each in attempts(told, known())] == [source]


def test_silence_is_not_read_as_nothing() -> None:
    told = readings()
    tell(told)
    assert not silent(told, known())
    told["node2"]["firewall"] = None
    assert "table is not there" in silent(told, known())["node2"]
    told["node2"]["denied"] = None
    assert "agent does not run" in silent(told, known())["node2"]
    told["node2"] = {"failed": "no route"}
    del told["node1"]
    assert silent(told, known()) == {"node1": "it was not asked, or did not answer in time", "node2": "no route"}


def test_lists_that_cannot_hold_everything_say_so() -> None:
    told = readings()
    tell(told, row("10.1.0.1"), out=3)
    assert not list(incomplete(told))
    tell(told, row("10.1.0.1"), out=10, room=1)
    told["node2"]["denied_rotated"] = True
    lines = list(incomplete(told))
    assert ["full at 1 rows" in lines[0], "7 more packets" in lines[1], "filled their file" in lines[2]] == [True] * 3


def test_a_host_without_the_network_s_agent_tells_no_empty_list(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(look, "AGENT", tmp_path / "cilium")
    monkeypatch.setattr(look, "DENIED", tmp_path / "cilium/hubble")
    assert look.denied() is None
    (tmp_path / "cilium").mkdir()
    assert look.denied() == []


JUNK: dict[str, Any] = {
    "a string": "x",
    "a list": [1],
    "a row that is none": {"firewall": {"counters": {}, "tried": [{}], "room": 1}},
    "a row of another time": {"firewall": {"counters": {}, "tried": [row("a", last_seen="x")], "room": 1}},
    "a row of another source": {"firewall": {"counters": {}, "tried": [{**row("a"), "source": []}], "room": 1}},
    "a certificate that is no text": {"certificates": {"kubelet": 7}},
    "a time that no clock has": {"firewall": {"counters": {}, "tried": [row("a", last_seen=1e300)], "room": 1}},
}


@pytest.mark.parametrize("kind", JUNK)
def test_what_a_host_says_that_is_no_reading_is_its_failure(kind: str) -> None:
    junk = JUNK[kind]
    value = {**readings()["node2"], **junk} if isinstance(junk, dict) else junk
    found = checked(value)
    assert "cannot be read" in found["failed"]


def test_a_reading_is_handed_on_as_it_is() -> None:
    told = readings()
    tell(told, row("10.1.0.1"))
    assert {host: checked(value) for host, value in told.items()} == told
