"""The two readers of a POST to the audit writer: the quick one takes nothing that the strict one would not."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.audit import append_body
from appliance.audit.entry import encode_entry
from appliance.audit.errors import BadRequestError, EntryRefusedError
from appliance.audit.ocsf import text
from appliance.audit.wire import post_body
from tests.audit.samples import EVENTS

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner)
)
_EVENTS = st.dictionaries(st.text(max_size=6), _VALUES, max_size=4).map(lambda made: made | {"metadata": {}})


def strictly(body: bytes) -> object:
    """What the strict way makes of a body: the records, or the kind of refusal."""
    try:
        return [record for record, _ in append_body._entries(append_body._strict(body))]
    except (BadRequestError, EntryRefusedError) as error:
        return type(error)


def read(body: bytes) -> object:
    try:
        return [record for record, _ in append_body.read_body(body)]
    except (BadRequestError, EntryRefusedError) as error:
        return type(error)


@given(st.lists(st.tuples(st.text(min_size=1, max_size=5), _EVENTS), min_size=1, max_size=3))
def test_both_readers_say_the_same_of_what_a_client_could_send(entries: list[tuple[str, dict[str, object]]]) -> None:
    plain = json.dumps({"entries": [{"id": one, "event": event} for one, event in entries]}).encode()
    assert read(plain) == strictly(plain)
    try:
        canonical = post_body([(one, encode_entry(event, one)) for one, event in entries])
    except EntryRefusedError:
        return
    assert read(canonical) == strictly(canonical)


@given(st.sampled_from(sorted(EVENTS)), st.integers(0, 2000), st.binary(min_size=0, max_size=3))
@example("request", 12, b"")
def test_both_readers_say_the_same_of_damaged_bodies(kind: str, at: int, put: bytes) -> None:
    body = post_body([("x/1", encode_entry(EVENTS[kind][0], "x/1"))])
    damaged = body[:at] + put + body[at + 1 :]
    assert read(damaged) == strictly(damaged)


@pytest.mark.parametrize("kind", EVENTS)
def test_what_our_client_sends_takes_the_quick_way(kind: str) -> None:
    body = post_body([("x/1", encode_entry(EVENTS[kind][0], "x/1"))])
    assert append_body._canonical(body) is not None


@pytest.mark.parametrize(
    "value",
    [
        str(2**63),
        "-" + str(2**63),
        "1" * 400,
        "1e999",
        "NaN",
        "[" * 40 + "]" * 40,
        "[" * 100_000 + "]" * 100_000,
        '{"a":1,"a":2}',
        '"\\ud800"',
    ],
)
def test_what_strict_json_refuses_is_refused_by_both(value: str) -> None:
    body = b'{"entries":[{"id":"x","event":{"a":' + value.encode() + b',"metadata":{"uid":"x"}}}]}'
    assert append_body._canonical(body) is None
    assert read(body) == strictly(body)
    assert read(body) in {BadRequestError, EntryRefusedError}


@given(st.text(max_size=40) | st.text('ab"\\\n\x7f é', max_size=40), st.integers(1, 30))
def test_a_text_takes_no_more_bytes_in_an_entry_than_it_may(value: str, limit: int) -> None:
    kept = text(value, limit)
    whole = kept == value
    assert len(json.dumps(kept.removesuffix("" if whole else "\N{HORIZONTAL ELLIPSIS}"))) - 2 <= limit
    fits = len(value) <= limit and len(json.dumps(value)) - 2 <= limit
    assert whole == (fits and value == value.encode("utf-8", "replace").decode("utf-8"))
