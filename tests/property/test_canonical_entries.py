"""Entries in frames: the quick reader takes nothing that the strict one would not, nor reads it otherwise."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.audit import canonical
from appliance.audit.entry import encode_entry
from appliance.audit.errors import EntryRefusedError
from appliance.audit.frames import FrameReader, frame
from appliance.audit.ocsf import short
from tests.audit.samples import EVENTS

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner)
)
_EVENTS = st.dictionaries(st.text(max_size=6), _VALUES, max_size=4)
_ENTRIES = st.builds(lambda event, one: event | {"metadata": {"uid": one}}, _EVENTS, st.text(min_size=1, max_size=5))


def read(entry: bytes) -> object:
    try:
        return canonical.read_entry(entry)
    except EntryRefusedError:
        return None


def strictly(entry: bytes) -> object:
    try:
        return canonical._strictly(entry)
    except EntryRefusedError:
        return None


@given(_ENTRIES)
@example({"metadata": {"uid": "a"}, "x": 1e16})
@example({"metadata": {"uid": "a"}, "x": 1e-7, "y": -0.0, "z": 2**63})
@example({"metadata": {"uid": "a"}, "x": "\x7f", "y": "/", "z": "\x1f"})
def test_both_ways_say_the_same_of_what_a_caller_could_send(event: dict[str, object]) -> None:
    compact = json.dumps(event, separators=(",", ":"))
    for spelled in (
        json.dumps(event),
        compact,
        json.dumps(event, ensure_ascii=False),
        json.dumps(event, sort_keys=True, separators=(",", ":")),
        compact.replace("e+", "e"),
        compact.replace("e-0", "e-"),
    ):
        entry = spelled.encode("utf-8", "surrogatepass")
        assert repr(read(entry)) == repr(strictly(entry))


@given(_ENTRIES)
def test_what_a_client_encodes_is_read_as_it_was_meant(event: dict[str, object]) -> None:
    name = event["metadata"]["uid"]  # type: ignore[index]  # made above
    try:
        entry = encode_entry(event, name)
    except EntryRefusedError:
        return
    found = canonical.read_entry(entry) if strictly(entry) else None
    assert found is None or encode_entry(found[1], found[0]) == entry


@given(st.sampled_from(sorted(EVENTS)), st.integers(0, 2000), st.binary(min_size=0, max_size=3))
def test_both_ways_say_the_same_of_damaged_entries(kind: str, at: int, put: bytes) -> None:
    entry = encode_entry(EVENTS[kind][0], "x/1")
    damaged = entry[:at] + put + entry[at + 1 :]
    assert repr(read(damaged)) == repr(strictly(damaged))


@pytest.mark.parametrize("kind", EVENTS)
def test_what_the_appliance_logs_takes_the_quick_way(kind: str) -> None:
    entry = encode_entry(EVENTS[kind][0], "x/1")
    assert canonical._quickly(entry) == ("x/1", json.loads(entry))


_HEAD = b'{"metadata":{"uid":"a"}'


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"metadata":{}}',
        b'{"metadata":{"uid":""}}',
        b'{"metadata":{"uid":1}}',
        b'{"metadata":{"uid":"' + b"a" * 201 + b'"}}',
        _HEAD + b"} ",
        b" " + _HEAD + b"}",
        _HEAD + b',"x":1,"x":1}',
        _HEAD + b',"x":{"y":1,"y":2}}',
        _HEAD + b',"a":1}',
        _HEAD + b',"x": 1}',
        _HEAD + b',"x":1.0e0}',
        _HEAD + b',"x":1.00}',
        _HEAD + b',"x":01}',
        _HEAD + b',"x":NaN}',
        _HEAD + b',"x":Infinity}',
        _HEAD + b',"x":9223372036854775808}',
        _HEAD + b',"x":"\x7f"}',
        _HEAD + b',"x":"\xc3\xa9"}',
        _HEAD + b',"x":"\\u0041"}',
        _HEAD + b',"x":"\\ud800"}',
        _HEAD + b',"x":"\\/"}',
        _HEAD + b',"x":' + b"[" * 500 + b"]" * 500 + b"}",
    ],
)
def test_an_entry_in_any_other_spelling_is_refused(entry: bytes) -> None:
    assert read(entry) is None


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=40)), max_size=5), st.data())
def test_frames_arrive_whole_however_they_are_cut(frames: list[tuple[int, bytes]], data: st.DataObject) -> None:
    stream = b"".join(frame(number, payload) for number, payload in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    reader, found = FrameReader(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += reader.feed(stream[start:end])
    assert found == frames


@given(st.text(max_size=40) | st.text('ab"\\\n\x7f é', max_size=40), st.integers(1, 30))
def test_a_text_takes_no_more_bytes_in_an_entry_than_it_may(value: str, limit: int) -> None:
    kept = short(value, limit)
    whole = kept == value
    assert len(json.dumps(kept.removesuffix("" if whole else "\N{HORIZONTAL ELLIPSIS}"))) - 2 <= limit
    fits = len(value) <= limit and len(json.dumps(value)) - 2 <= limit
    assert whole == (fits and value == value.encode("utf-8", "replace").decode("utf-8"))
