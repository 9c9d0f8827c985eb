"""Entries of earlier releases say some things twice; a log holds both sorts, and every reader takes them alike."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit.closing import interrupted
from appliance.audit.entry import encode_entry, same_event
from appliance.audit.search import read_found
from appliance.audit.spelled import at, lean, spelled
from appliance.audit.usage import build_report
from tests.audit.bench import Bench
from tests.audit.former import former
from tests.audit.samples import AT, EVENTS
from tests.audit.used import call

if TYPE_CHECKING:
    from pathlib import Path


def _entries(event: dict[str, Any]) -> tuple[bytes, bytes]:
    return encode_entry(event, "id"), encode_entry(former(event), "id")


@pytest.mark.parametrize("kind", EVENTS)
def test_no_entry_says_in_words_what_a_number_says_nor_a_requests_id_twice(kind: str) -> None:
    event = EVENTS[kind][0]
    said = [place for place, _ in spelled(event) if isinstance(at(event, place[:-1]), dict)]
    assert len(said) >= 5
    more = [place for place in said if at(event, place) is not None]
    assert more == ([("activity_name",)] if event["activity_id"] == 99 else [])


@pytest.mark.parametrize("kind", EVENTS)
def test_a_former_entry_is_of_the_same_event_and_a_list_shows_the_same_of_it(kind: str) -> None:
    now, then = _entries(EVENTS[kind][0])
    assert len(then) > len(now) + 90
    assert same_event(now, then)
    assert same_event(then, now)
    assert replace(read_found(7, now), event={}) == replace(read_found(7, then), event={})


def _changed(place: tuple[str, ...], value: object) -> dict[str, Any]:
    event = former(copy.deepcopy(EVENTS["answer"][0]))
    at(event, place[:-1])[place[-1]] = value
    return event


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("status",), "Failure"),
        (("class_name",), "Authentication"),
        (("metadata", "log_name"), "other"),
        (("metadata", "product", "vendor_name"), "somebody"),
        (("api", "request"), {"uid": "r2"}),
        (("api", "request"), {"uid": "r1", "flags": ["x"]}),
        (("message_context", "uid"), "r2"),
        (("message_context", "total_tokens"), 16),
    ],
)
def test_an_event_that_says_something_else_there_is_another_one(place: tuple[str, ...], value: object) -> None:
    assert not same_event(encode_entry(_changed(place, value), "id"), encode_entry(EVENTS["answer"][0], "id"))


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata": []},
        {"metadata": {"product": "x", "correlation_uid": 7}},
        {"api": None, "message_context": {"prompt_tokens": True, "completion_tokens": 1}},
        {"class_uid": "6003", "activity_id": [1], "status_id": 1.0},
        {"class_uid": 77},
    ],
    ids=str,
)
def test_what_is_no_event_of_ours_is_left_as_it_is(changes: dict[str, Any]) -> None:
    event = {"class_uid": 6003, "activity_id": 1} | changes
    assert lean(json.loads(json.dumps(event))) == event


def test_former_entries_and_new_ones_make_the_same_report(tmp_path: Path) -> None:
    calls = [one for day in (20, 21) for one in call(f"r{day}", day, f"s{day}", ("analysts",))]
    samples = [(f"gateway/{kind}", encode_entry(event, f"gateway/{kind}")) for kind, (event, _, _) in EVENTS.items()]
    now = [*calls, *samples]
    then = [(name, encode_entry(former(json.loads(entry)), name)) for name, entry in now]
    mixed = [*then[: len(now) // 2], *now[len(now) // 2 :]]
    told = []
    for place, entries in enumerate((now, then, mixed)):
        bench = Bench(tmp_path / str(place))
        bench.open().append(entries)
        report = build_report(bench.directory, vkeys=bench.vkeys).as_json()
        assert report["total"]["requests"] == 3
        told.append({name: value for name, value in report.items() if name != "log"})
    assert told[0] == told[1] == told[2]


def test_a_former_request_whose_gateway_is_gone_is_ended_as_a_new_one_is() -> None:
    request = EVENTS["request"][0]
    ended, then = interrupted(request, 7, at=AT), interrupted(former(request), 7, at=AT)
    assert ended is not None
    assert then is not None
    assert lean(copy.deepcopy(then)) == lean(copy.deepcopy(ended))
