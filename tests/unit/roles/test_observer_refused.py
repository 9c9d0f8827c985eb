"""What a host refused is told by row and growth, in bounded number, and whoever tries more fills no log with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from appliance.collector.told import Refused, read_item
from tests.unit.roles.observers import deliver, refused

if TYPE_CHECKING:
    from collections.abc import Mapping

BEYOND = "203.0.113.9"
HALVES = {"source": "\ud800x", "destination": "\udfff", "pod_name": "\ud800", "namespace": "\ud800", "\ud800": {}}
HOUR = refused.AGAIN_SECONDS


def flow(number: int, **more: Any) -> bytes:
    about = {
        "time": f"2026-11-26T12:{number // 60 % 60:02d}:{number % 60:02d}.{number:09d}Z",
        "verdict": "DROPPED",
        "drop_reason_desc": "POLICY_DENIED",
        "IP": {"source": "10.88.1.7", "destination": BEYOND},
        "l4": {"TCP": {"source_port": 40000, "destination_port": 443}},
        "source": {"namespace": "default", "pod_name": "outsider"},
        "destination": {"labels": ["reserved:world"]},
        **more,
    }
    return json.dumps({"flow": about, "node_name": "node1"}, separators=(",", ":")).encode() + b"\n"


def listing(ports: Mapping[int, int], more: int = 0) -> str:
    """The firewall's table with so many packets to each port of ``BEYOND``, and ``more`` that no row names now."""
    rows = [
        {"elem": {"val": {"concat": ["10.77.0.11", BEYOND, "tcp", port]}, "counter": {"packets": n, "bytes": 60 * n}}}
        for port, n in ports.items()
    ]
    counter = {"name": "refused_out", "packets": sum(ports.values()) + more, "bytes": 0}
    incoming = {"name": "refused_in", "packets": 10**6, "bytes": 0}
    parts = [{"counter": counter}, {"counter": incoming}, {"set": {"name": "tried", "elem": rows}}]
    return json.dumps({"nftables": parts})


def grown(firewall: Any, text: str) -> dict[Any, int]:
    return {row[-1]: count for row, count in firewall.grown(text)}


def test_a_denied_flow_names_its_pod_and_whither() -> None:
    assert refused.flow(flow(1)) == ("policy", "default/outsider", BEYOND, "tcp", 443)
    assert refused.flow(flow(1, source={})) == ("policy", "10.88.1.7", BEYOND, "tcp", 443)


@pytest.mark.parametrize("reason", ["STALE_OR_UNROUTABLE_IP", "CT_MAP_INSERTION_FAILED", "", None, 7, [], {}])
def test_what_no_policy_denied_is_not_told_as_if_one_had(reason: Any) -> None:
    assert refused.flow(flow(1, drop_reason_desc=reason)) == ("network", "default/outsider", BEYOND, "tcp", 443)
    assert refused.flow(flow(1, drop_reason_desc="POLICY_DENY"))[0] == "policy"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, False),
        ({"IP": {"source": "fe80::1", "destination": "2001:db8::1"}}, True),
        ({"l4": {"ICMPv6": {"type": 128}}}, True),
        ({"l4": {"UDP": {"destination_port": 5353}}}, True),
    ],
    ids=["router solicitation", "beyond the link", "echo", "datagram"],
)
def test_looking_for_neighbours_on_one_s_own_link_is_no_attempt(more: dict[str, Any], *, told: bool) -> None:
    link = {"IP": {"source": "fe80::1", "destination": "ff02::2"}, "l4": {"ICMPv6": {"type": 133}}}
    assert (refused.flow(flow(1, **{**link, **more})) is not None) == told


@pytest.mark.parametrize("text", [b"", b"{", b"null", b"[]", b"\xff", b'{"flow": 7}', b"[" * 10**5])
def test_a_line_that_is_no_flow_is_counted_as_such(text: bytes) -> None:
    assert refused.flow(text) == refused.UNREADABLE


@pytest.mark.parametrize("value", [None, 7, "x", [], {}, {"": 7}, "\ud800" * 10**5, [[]], HALVES])
@pytest.mark.parametrize("field", ["IP", "l4", "source", "destination"])
def test_whatever_a_flow_holds_the_rest_of_the_file_is_read_and_the_collector_takes_it(field: str, value: Any) -> None:
    row = refused.flow(flow(1, **{field: value}))
    item = {"kind": "refused", "number": "0" * 16 + "/1", **dict(zip(refused.KEYS, row, strict=True)), "packets": 1}
    assert isinstance(read_item(deliver.spelled(item)), Refused)


def test_only_growth_is_told_also_over_a_boot() -> None:
    firewall = refused.Firewall({})
    assert grown(firewall, listing({443: 5})) == {443: 5}
    assert grown(firewall, listing({443: 5})) == {}
    firewall = refused.Firewall(json.loads(json.dumps(firewall.state())))
    assert grown(firewall, listing({443: 7, 80: 1})) == {443: 2, 80: 1}
    assert grown(firewall, listing({443: 3})) == {443: 3}  # the rules were loaded anew


def test_packets_that_no_row_names_are_told_once_two_readings_agree() -> None:
    firewall = refused.Firewall({})
    assert grown(firewall, listing({}, more=3)) == {}
    assert grown(firewall, listing({}, more=3)) == {0: 3}
    assert grown(firewall, listing({}, more=9)) == {}
    assert grown(firewall, listing({}, more=9)) == {0: 6}
    assert grown(firewall, listing({}, more=2)) == {}
    assert grown(firewall, listing({}, more=4)) == {0: 2}
    assert grown(firewall, listing({}, more=4)) == {0: 2}


def test_a_row_that_the_firewall_forgot_tells_nothing_and_what_comes_after_it_is_told() -> None:
    """Rows rest for a week and go, while the counters stay."""
    firewall = refused.Firewall({})
    assert grown(firewall, listing({443: 100})) == {443: 100}
    assert grown(firewall, listing({443: 100})) == {}
    for _ in range(3):
        firewall = refused.Firewall(json.loads(json.dumps(firewall.state())))
        assert grown(firewall, listing({}, more=100)) == {}
    assert grown(firewall, listing({443: 2}, more=100)) == {443: 2}
    assert grown(firewall, listing({443: 2}, more=104)) == {}
    assert grown(firewall, listing({443: 2}, more=104)) == {0: 4}
    assert grown(firewall, listing({443: 1}, more=106)) == {443: 1}  # forgotten and seen again between two readings
    assert grown(firewall, listing({443: 1}, more=106)) == {}
    assert grown(firewall, listing({}, more=3)) == {}  # a boot
    assert grown(firewall, listing({}, more=3)) == {0: 3}


@pytest.mark.parametrize(
    "text", ["", "{}", '{"nftables": 7}', '{"nftables": [{"set": {"name": "tried", "elem": [7]}}]}']
)
def test_a_list_that_is_none_is_told_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"list|read|Expecting|column"):
        list(refused.Firewall({}).grown(text))


def row(port: int) -> tuple[Any, ...]:
    return ("firewall", "10.77.0.11", BEYOND, "tcp", port)


def test_a_row_is_told_at_once_and_then_its_growth_every_hour() -> None:
    ledger = refused.Ledger({})
    ledger.add([(row(443), 2)])
    assert [each["packets"] for each in ledger.due(1000.0)] == [2]
    for minute in range(1, 59):
        ledger.add([(row(443), 1)])
        assert ledger.due(1000.0 + 60 * minute) == []
    assert [each["packets"] for each in ledger.due(1000.0 + HOUR)] == [58]


def test_a_clock_that_goes_back_holds_nothing_up() -> None:
    ledger = refused.Ledger({})
    ledger.add([(row(443), 2)])
    ledger.due(1_000_000.0)
    ledger.add([(row(443), 3)])
    assert [each["packets"] for each in ledger.due(1000.0)] == [3]


def test_a_scan_of_every_port_is_bound_and_each_packet_is_counted() -> None:
    ledger = refused.Ledger({})
    ledger.add([(row(port), 1) for port in range(1, 65536)])
    assert len(ledger.state) <= refused.ROWS + 1
    told: list[dict[str, Any]] = []
    for minute in range(600):
        now = ledger.due(60.0 * minute)
        assert len(now) <= refused.AT_ONCE
        told += now
    assert sum(each["packets"] for each in told) == 65535
    assert max(told, key=lambda each: each["packets"])["destination"] == ""  # what no row names


def test_rows_that_rest_are_let_go() -> None:
    ledger = refused.Ledger({})
    ledger.add([(row(443), 1)])
    ledger.due(1000.0)
    assert ledger.due(1000.0 + HOUR + 1) == []
    assert ledger.state == {}
