"""What may become an entry, and what its bytes look like."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from appliance.audit.entry import decode_entry, encode_entry, same_event
from appliance.audit.errors import EntryRefusedError, EntryTooLargeError
from appliance.audit.tiles import MAX_ENTRY_BYTES

if TYPE_CHECKING:
    from tests.audit.bench import Bench


def test_an_entry_carries_its_id_and_nothing_else_is_changed(bench: Bench) -> None:
    event = bench.event("r1")
    entry_id, read = decode_entry(encode_entry(event, "r1:request"))
    assert entry_id == "r1:request"
    assert read.pop("metadata") == event.pop("metadata") | {"uid": "r1:request"}
    assert read == event


def test_equal_events_have_equal_bytes(bench: Bench) -> None:
    event = bench.event("r1")
    assert encode_entry(event, "x") == encode_entry(dict(reversed(event.items())), "x")


def test_the_largest_entry_fits_and_one_byte_more_is_refused(bench: Bench) -> None:
    room = MAX_ENTRY_BYTES - len(encode_entry(bench.event("r", comment=""), "r"))
    assert len(encode_entry(bench.event("r", comment="x" * room), "r")) == MAX_ENTRY_BYTES
    with pytest.raises(EntryTooLargeError, match="65536 bytes; 65535 is the most"):
        encode_entry(bench.event("r", comment="x" * (room + 1)), "r")


@pytest.mark.parametrize(
    "text", ["line\nbreak", "\x1b[31mred\x1b[0m", "\x00", '"},{"', "\u202egnp.exe", "\u2028", "€", "👩‍🚒"]
)
def test_no_text_can_leave_its_string(bench: Bench, text: str) -> None:
    entry = encode_entry(bench.event("r", comment=text), "r")
    assert all(0x20 <= byte < 0x7F for byte in entry)
    assert json.loads(entry)["comment"] == text


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), {1, 2}, b"bytes", "\ud800", "x\udcffy", object()])
def test_what_is_not_plain_json_is_refused(bench: Bench, bad: object) -> None:
    with pytest.raises(EntryRefusedError):
        encode_entry(bench.event("r", comment=bad), "r")


def test_a_backslash_before_ud_is_no_surrogate(bench: Bench) -> None:
    entry = encode_entry(bench.event("r", comment="\\ud800"), "r")
    assert json.loads(entry)["comment"] == "\\ud800"


@pytest.mark.parametrize("entry_id", ["", "x" * 201, 7, None])
def test_an_id_is_a_short_text(bench: Bench, entry_id: object) -> None:
    with pytest.raises(EntryRefusedError, match="id"):
        encode_entry(bench.event("r"), entry_id)


def test_an_event_needs_metadata_that_does_not_contradict_its_id(bench: Bench) -> None:
    with pytest.raises(EntryRefusedError, match="no metadata"):
        encode_entry({"class_uid": 1}, "r")
    with pytest.raises(EntryRefusedError, match="is not the id"):
        encode_entry(bench.event("r") | {"metadata": {"uid": "other"}}, "r")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"metadata":{}}', b'{"metadata":{"uid":""}}', b"\x00\x00"])
def test_foreign_bytes_are_no_entry(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        decode_entry(data)


def test_the_same_event_at_another_time_is_the_same(bench: Bench) -> None:
    one, later = encode_entry(bench.event("r"), "r"), encode_entry(bench.event("r", time=5), "r")
    other = encode_entry(bench.event("r", severity_id=3), "r")
    assert same_event(one, later)
    assert not same_event(one, other)


def test_what_is_sent_again_by_a_later_release_is_the_same(bench: Bench) -> None:
    event = bench.event("r")
    product = event["metadata"]["product"] | {"version": "9.9.9"}
    later = event | {"metadata": event["metadata"] | {"product": product}}
    assert same_event(encode_entry(event, "r"), encode_entry(later, "r"))
    renamed = event | {"metadata": event["metadata"] | {"product": product | {"name": "another"}}}
    assert not same_event(encode_entry(event, "r"), encode_entry(renamed, "r"))
