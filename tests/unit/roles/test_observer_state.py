"""An observer that ends at any moment, or finds no collector, loses nothing, and tells nothing under two names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.roles.observed_host import Host
from tests.unit.roles.observers import append, deliver, follow, line, rotate
from tests.unit.roles.test_observer_refused import flow, listing

if TYPE_CHECKING:
    from pathlib import Path


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
    host.observer.count(host.flows, lambda: listing({443: 7}), 1000.0)
    host.start()  # before it was told
    host.collector.ends = 1
    with pytest.raises(SystemExit):
        host.observer.tell_refused()
    host.start()  # after it was told, without hearing so
    host.observer.tell_refused()
    host.observer.count(host.flows, lambda: listing({443: 7}), 1060.0)
    host.observer.tell_refused()
    once = {json.dumps(item) for item in host.collector.taken}
    assert len(once) == len(set(host.collector.named)) == 3
    packets = {(i["by"], i["destination"]): i["packets"] for i in map(json.loads, once) if i["kind"] == "refused"}
    assert packets == {("policy", "203.0.113.9"): 20, ("firewall", "203.0.113.9"): 7}


def test_counts_go_on_while_nobody_takes_them(host: Host) -> None:
    for minute in range(40):
        append(host.flows, flow(minute))
        host.observer.count(host.flows, lambda minute=minute: listing({443: minute}), 1000.0 + 60 * minute)
        host.collector.fails = 1
        with pytest.raises(ConnectionRefusedError):
            host.observer.tell_refused()
    assert host.state.stat().st_size < 40_000
    host.observer.tell_refused()
    host.observer.count(host.flows, lambda: listing({443: 39}), 1000.0 + 60 * 300)
    host.observer.tell_refused()
    assert sum(item["packets"] for item in host.collector.taken if item.get("by") == "policy") == 40
    assert sum(item["packets"] for item in host.collector.taken if item.get("by") == "firewall") == 39


def test_a_caller_who_fills_the_beginnings_of_files_with_one_text_hides_no_later_call(host: Host) -> None:
    long = {"requestURI": f"/?{'x' * 70_000}", "auditID": "same", "responseStatus": {"code": 403}}
    for number in (100, 200):
        append(host.log, line(number, **long), *(line(number + n) for n in range(1, 300)))
        if number == 100:
            rotate(host.log, 1)
    told = host.calls()
    assert told[1:300] == [f"call-{n}" for n in range(101, 400)]
    assert told[301:] == [f"call-{n}" for n in range(201, 500)]
    assert len({item["at"] for item in host.collector.taken if item["kind"] == "call"}) == len(told) == 600


def test_half_a_call_is_told_with_its_size_and_so_is_the_call_behind_it(host: Host) -> None:
    append(host.log, line(1), line(2)[:300] + line(3))
    assert host.calls() == ["call-1", "call-3"]
    (gap,) = [item for item in host.collector.taken if item.get("why") == "unreadable"]
    assert gap["size"] == 300


def test_reading_that_comes_back_to_where_it_was_is_an_error_and_no_loop(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [follow.Place("first", offset) for offset in (1, 2)]

    def circling(_: object, place: Any, __: int) -> Any:
        return follow.Reading((), places[place == places[0]], 0)

    monkeypatch.setattr(follow, "read", circling)
    with pytest.raises(ValueError, match="in a circle"):
        host.observer.tell_calls(host.log)


def test_whom_the_collector_refuses_hears_why(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    append(host.log, line(1))

    def refuse(_: object) -> None:
        raise deliver.RefusedError("the certificate is of no host of the site")

    monkeypatch.setattr(host.observer, "_take", refuse)
    with pytest.raises(deliver.RefusedError, match="of no host"):
        host.calls()
    assert not host.state.exists()
