"""An observer that ends at any moment, or finds no collector, loses nothing, and tells nothing under two names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from appliance.collector.told import read_item
from tests.unit.roles.observers import append, deliver, line, observer, rotate
from tests.unit.roles.test_observer_refused import flow, listing

if TYPE_CHECKING:
    from pathlib import Path


class Collector:
    """Takes what is handed over, but for the next ``fails`` times; after the next ``ends`` the host's power is cut."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.fails = self.ends = 0

    def take(self, items: list[dict[str, Any]]) -> None:
        assert all(read_item(item) for item in items)
        if self.fails:
            self.fails -= 1
            raise ConnectionRefusedError("nobody listens")
        self.taken += json.loads(json.dumps(items))
        if self.ends:
            self.ends -= 1
            raise SystemExit

    @property
    def named(self) -> list[str]:
        return [str(item.get("at") or item["number"]) + item["kind"] for item in self.taken]


class Host:
    """An API log, denied flows, and an observer that may be started anew."""

    def __init__(self, folder: Path) -> None:
        self.log, self.flows, self.state = folder / "audit.log", folder / "denied.log", folder / "state.json"
        self.collector = Collector()
        self.start()

    def start(self) -> None:
        self.observer = observer.Observer(self.state, self.collector.take)

    def calls(self) -> list[str]:
        """Hand over what there is; numbers of the calls that were taken so far."""
        while self.observer.tell_calls(self.log):
            pass
        return [item["call"] for item in self.collector.taken if item["kind"] == "call"]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_calls_wait_on_the_disk_while_nobody_takes_them(host: Host) -> None:
    append(host.log, line(1), line(2))
    host.collector.fails = 3
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            host.calls()
        assert host.observer.behind == host.log.stat().st_size - 2  # but for the ends of its lines
        append(host.log, b"")
    rotate(host.log, 1)
    append(host.log, line(3))
    assert host.calls() == ["call-1", "call-2", "call-3"]
    assert host.observer.behind == 0


@pytest.mark.parametrize("number", range(6))
def test_power_cut_after_any_delivery_gives_the_same_names_and_nothing_is_missing(host: Host, number: int) -> None:
    """The collector took it and the host did not hear so: it is told again under the same names, which is one entry."""
    append(host.log, *(line(n) for n in range(450)))
    for cut in range(6):
        host.collector.ends = cut == number
        try:
            host.calls()
        except SystemExit:
            host.start()
    assert host.calls()[-1] == "call-449"
    assert len({item["at"] for item in host.collector.taken if item["kind"] == "call"}) == 450
    told = {json.dumps(item, sort_keys=True) for item in host.collector.taken}
    assert len(told) == 451  # each told one way, and one beginning


def test_what_is_left_out_is_told_alike_when_it_is_told_again(host: Host) -> None:
    append(host.log, *(line(n, responseStatus={"code": 403}) for n in range(50)))
    host.collector.ends = 1
    with pytest.raises(SystemExit):
        host.calls()
    host.start()
    first = list(host.collector.taken)
    host.calls()
    assert host.collector.taken == first * 2


def test_a_log_that_is_not_there_is_told_to_be_missing(host: Host) -> None:
    with pytest.raises(FileNotFoundError, match="to which the API server writes"):
        host.calls()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"schema": 2}'])
def test_a_place_that_is_lost_is_begun_anew_and_told_and_names_stay(host: Host, damage: str) -> None:
    append(host.log, line(1), line(2))
    host.calls()
    before = host.collector.named
    host.state.write_text(damage)
    host.start()
    host.calls()
    assert host.collector.named == before * 2
    assert before[0].endswith("reading")


def test_a_line_that_is_no_call_is_told_with_its_size_and_the_next_ones_are_read(host: Host) -> None:
    append(host.log, line(1), b"not a call\n", line(2))
    assert host.calls() == ["call-1", "call-2"]
    (gap,) = [item for item in host.collector.taken if item.get("why") == "unreadable"]
    assert gap["size"] == len(b"not a call")


def test_refused_packets_are_told_once_also_by_one_that_was_cut_off(host: Host) -> None:
    append(host.flows, *(flow(n) for n in range(20)))
    host.observer.count(host.flows, listing({443: 7}), 1000.0)
    host.start()  # before it was told
    host.collector.ends = 1
    with pytest.raises(SystemExit):
        host.observer.tell_refused()
    host.start()  # after it was told, without hearing so
    host.observer.tell_refused()
    host.observer.count(host.flows, listing({443: 7}), 1060.0)
    host.observer.tell_refused()
    once = {json.dumps(item) for item in host.collector.taken}
    assert len(once) == len(set(host.collector.named)) == 3
    packets = {(i["by"], i["destination"]): i["packets"] for i in map(json.loads, once) if i["kind"] == "refused"}
    assert packets == {("policy", "203.0.113.9"): 20, ("firewall", "203.0.113.9"): 7}


def test_counts_go_on_while_nobody_takes_them(host: Host) -> None:
    for minute in range(200):
        append(host.flows, flow(minute))
        host.observer.count(host.flows, listing({443: minute}), 1000.0 + 60 * minute)
        host.collector.fails = 1
        with pytest.raises(ConnectionRefusedError):
            host.observer.tell_refused()
    assert host.state.stat().st_size < 40_000
    host.observer.tell_refused()
    host.observer.count(host.flows, listing({443: 199}), 1000.0 + 60 * 300)
    host.observer.tell_refused()
    assert sum(item["packets"] for item in host.collector.taken if item.get("by") == "policy") == 200
    assert sum(item["packets"] for item in host.collector.taken if item.get("by") == "firewall") == 199


def test_whom_the_collector_refuses_hears_why(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    append(host.log, line(1))

    def refuse(_: object) -> None:
        raise deliver.RefusedError("the certificate is of no host of the site")

    monkeypatch.setattr(host.observer, "_take", refuse)
    with pytest.raises(deliver.RefusedError, match="of no host"):
        host.calls()
    assert not host.state.exists()
