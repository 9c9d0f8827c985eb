from __future__ import annotations

import pytest

from airgap_bundle import strict_json
from airgap_bundle.errors import FormatError

REFUSED = {
    "duplicate key": (b'{"a":1,"a":2}', "twice"),
    "duplicate key, spelled apart": (b'{"a":1,"\\u0061":2}', "twice"),
    "nan": (b"[NaN]", "NaN"),
    "infinity": (b"[-Infinity]", "Infinity"),
    "overflow to infinity": (b"[1e999]", "out of range"),
    "integer beyond 2^63": (b"[9223372036854775808]", "out of range"),
    "integer of many digits": (b"[" + b"9" * 5000 + b"]", "out of range"),
    "lone surrogate": (b'["\\udfff"]', "lone surrogate"),
    "lone surrogate in a key": (b'{"\\ud800":1}', "lone surrogate"),
    "latin-1": (b'["\xe9"]', "not json"),
    "utf-16": ('["x"]'.encode("utf-16"), "not json"),
    "byte order mark": (b"\xef\xbb\xbf[]", "not json"),
    "trailing text": (b"[] []", "not json"),
    "nothing": (b"", "not json"),
    "raw newline in a string": (b'["a\nb"]', "not json"),
    "deep list": (b"[" * 33 + b"]" * 33, "deeper than 32"),
    "deep object": (b'{"a":' * 33 + b"1" + b"}" * 33, "deeper than 32"),
    "depth bomb, never closed": (b"[" * 1_000_000, "deeper than 32"),
}


@pytest.mark.parametrize(("data", "match"), REFUSED.values(), ids=REFUSED.keys())
def test_hostile_json_is_refused(data: bytes, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        strict_json.loads(data)


def test_size_is_checked_before_anything_else() -> None:
    with pytest.raises(FormatError, match="exceeds the cap of 10"):
        strict_json.loads(b"[" * 11, max_bytes=10)


def test_the_largest_allowed_values_are_read() -> None:
    assert strict_json.loads(b"[9223372036854775807,-9223372036854775807]") == [2**63 - 1, 1 - 2**63]
    assert strict_json.loads(b"[" * 32 + b"]" * 32)
    assert strict_json.loads(b'"\\ud83d\\ude00"') == "😀"


def test_an_object_is_asked_for_by_name() -> None:
    assert strict_json.load_object(b'{"a":1}') == {"a": 1}
    with pytest.raises(FormatError, match="list found"):
        strict_json.load_object(b"[]")


def test_canonical_bytes_do_not_depend_on_order() -> None:
    assert strict_json.dumps({"b": 1, "a": "é"}) == strict_json.dumps({"a": "é", "b": 1}) == '{"a":"é","b":1}'.encode()


@pytest.mark.parametrize("value", [1.5, {"a": float("nan")}, {1: 2}, "\ud800", 2**63, object(), b"bytes"])
def test_values_without_a_canonical_spelling_are_refused(value: object) -> None:
    with pytest.raises(FormatError):
        strict_json.dumps(value)
