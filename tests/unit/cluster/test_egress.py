"""What tried to leave is named: by whom, whither, how often and when; by firewalls and network policies alike."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from appliance.cluster.egress import attempts, counters
from tests.unit.cluster.readings import NOW, readings
from tests.unit.roles.plugins import load

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

look = load("roles/looking/files/look.py")
BEYOND = "203.0.113.9"


def row(source: str, **more: object) -> dict[str, object]:
    told = {"source": source, "destination": BEYOND, "protocol": "tcp", "port": 443, "count": 3}
    return {**told, "last_seen": NOW.timestamp(), **more}


def test_pods_and_hosts_are_named_and_the_latest_comes_first() -> None:
    told = readings()
    rows = [row("10.244.1.7", last_seen=NOW.timestamp() - 60), row("10.1.0.1"), row("198.51.100.7", count=1)]
    told["node2"]["firewall"] = {"counters": {"refused_out": 7}, "tried": rows}
    told["node2"]["denied"] = [
        row("sovereign/audit-0", last_seen="2026-11-26T13:00:00.123456789Z", port=53, protocol="udp")
    ]
    found = attempts(told, {"10.1.0.1": "node1", "10.1.0.2": "node2"})
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
        {"set": {"name": "tried", "timeout": 604800, "elem": [{"elem": element}]}},
    ]
    monkeypatch.setattr(look, "ran", lambda *_: json.dumps({"nftables": listed}))
    found = look.refused(1000.0)
    assert found["counters"] == {"refused_out": 9}
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
    rows = {(r["source"], r["destination"], r["protocol"], r["port"]): r for r in look.denied()}
    ours = rows["sovereign/assistant-5d9-abc", BEYOND, "tcp", 443]
    assert (ours["count"], ours["last_seen"]) == (3, "2026-11-26T12:00:03Z")
    assert rows["10.244.1.7", BEYOND, "tcp", 443]["count"] == 1
    assert len(rows) == 2
