"""Whatever comes at once, or waits after an outage: each part is told in its turn, as the collector takes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from appliance.collector.told import MAX_ITEMS
from tests.unit.roles.observed_host import Host
from tests.unit.roles.observers import append, line, observer
from tests.unit.roles.test_observer_refused import flow, listing

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_backlog_of_calls_lets_the_rest_be_told_between(host: Host) -> None:
    append(host.log, *(line(n) for n in range(observer.LINES * observer.READINGS + 1)))
    assert host.observer.tell_calls(host.log)
    assert host.observer.behind
    assert not host.observer.tell_calls(host.log)
    assert len(host.collector.taken) == observer.LINES * observer.READINGS + 2


def test_a_flood_of_denied_flows_is_counted_in_parts(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observer, "FLOW_LINES", 10)
    append(host.flows, *(flow(n) for n in range(200)))
    read = []
    for _ in range(4):
        host.observer.count(host.flows, lambda: listing({}), 0.0)
        read.append(host.observer._flows.offset // len(flow(1)))
    assert read == [79, 159, 200, 200]  # and one beginning
    host.observer.count(host.flows, lambda: listing({}), observer.refused.AGAIN_SECONDS)
    host.observer.tell_refused()
    assert sum(item.get("packets", 0) for item in host.collector.taken) == 200


def test_large_calls_go_in_parts_that_the_collector_takes(host: Host) -> None:
    wide = "\0" * 5000
    user = {"username": wide, "groups": [wide] * 20}
    append(host.log, *(line(n, user=user, userAgent=wide) for n in range(50)))
    assert len(host.calls()) == 50


def test_gaps_that_wait_are_put_together_and_no_batch_is_ever_too_large(host: Host) -> None:
    """A pod that is denied faster than its flows are read loses a file of them a minute, while nobody takes them."""
    host.collector.fails = 10**6
    for minute in range(400):
        host.observer._miss({"kind": "reading", "of": "flows", "at": f"x/{minute}", "why": "gone", "size": 3})
    host.observer.count(host.flows, lambda: listing({443: 7}), 1000.0)
    with pytest.raises(ConnectionRefusedError):
        host.observer.tell_refused()
    assert len(host.observer._pending) < MAX_ITEMS
    host.collector.fails = 0
    for minute in range(1, 4):
        host.start()
        host.observer.tell_refused()
        host.observer.count(host.flows, lambda: listing({443: 7}), 1000.0 + 60 * minute)
    gaps = [item for item in host.collector.taken if item["kind"] == "reading"]
    assert sum(gap.get("gaps", 1) for gap in gaps) == 400
    assert sum(gap["size"] for gap in gaps) == 1200
    assert len({gap["at"] for gap in gaps}) == len(gaps) < 70
    assert [item["packets"] for item in host.collector.taken if item["kind"] == "refused"] == [7]


def test_more_waiting_items_than_are_taken_at_once_are_told_in_parts(host: Host) -> None:
    """As an earlier observer left them."""
    waiting = [{"kind": "refused", "number": f"{'0' * 16}/{n}", "by": "policy", "source": "", "destination": "",
                "protocol": "", "port": 0, "packets": 1} for n in range(301)]  # fmt: skip
    host.state.write_text(json.dumps({"schema": 1, "pending": waiting}))
    host.start()
    host.observer.tell_refused()
    assert host.collector.taken == waiting


def test_denied_flows_are_counted_where_the_firewall_has_no_table(host: Host) -> None:
    append(host.flows, flow(1))

    def missing() -> str:
        raise FileNotFoundError("no such table")

    with pytest.raises(FileNotFoundError):
        host.observer.count(host.flows, missing, 1000.0)
    host.observer.tell_refused()
    assert [item["by"] for item in host.collector.taken if item["kind"] == "refused"] == ["policy"]
