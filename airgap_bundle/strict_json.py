"""JSON for hostile input, and one canonical spelling for our own output.

Refused before or while parsing: more than ``max_bytes``, nesting deeper than ``max_depth``, anything but UTF-8 without
a byte order mark, duplicate keys, ``NaN`` and infinities (``1e999`` included), integers outside ±(2^63-1), and strings
with lone surrogates. The order matters: size, then depth, then parsing, so that no bomb reaches the parser.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from airgap_bundle.errors import FormatError

MAX_BYTES = 4 << 20
MAX_DEPTH = 32
MAX_INTEGER = 2**63 - 1
_INTEGER_DIGITS = 20
_MARKS = re.compile(rb'\\.|["\[\]{}]', re.DOTALL)


def loads(data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """The value that ``data`` spells. Raises ``FormatError`` for everything that the module's docstring lists."""
    if len(data) > max_bytes:
        raise FormatError(f"json of {len(data)} bytes exceeds the cap of {max_bytes}")
    _check_depth(data, max_depth)
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_integer,
        )
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FormatError(f"not json: {error}") from error
    _check_text(value)
    return value


def load_object(data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """As ``loads``; raises ``FormatError`` when the value is no object."""
    value = loads(data, max_bytes=max_bytes, max_depth=max_depth)
    if not isinstance(value, dict):
        raise FormatError(f"json object expected, {type(value).__name__} found")
    return value


def dumps(value: object) -> bytes:
    """Canonical bytes: sorted keys, no white space, UTF-8 unescaped, no floats, no trailing newline.

    Equal values give equal bytes, and ``loads`` gives the value back. Raises ``FormatError`` for floats, non-string
    keys, lone surrogates and integers out of range: they have no canonical spelling here.
    """
    _check_canonical(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def is_integer(value: object, expected: int) -> bool:
    """Whether ``value`` is this integer; ``true``, which Python takes for 1, is not."""
    return type(value) is int and value == expected


def _check_depth(data: bytes, max_depth: int) -> None:
    """Count brackets outside strings. Linear, and without building anything."""
    depth, in_string = 0, False
    for match in _MARKS.finditer(data):
        mark = match.group()
        if mark == b'"':
            in_string = not in_string
        elif in_string or mark[:1] == b"\\":
            continue
        elif mark in b"[{":
            depth += 1
            if depth > max_depth:
                raise FormatError(f"json nested deeper than {max_depth}")
        else:
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # set.add is None: falsy on purpose
        raise FormatError(f"json key {twice[:80]!r} occurs twice in one object")
    return found


def _constant(text: str) -> Any:
    raise FormatError(f"json has no {text}")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise FormatError(f"json number {text[:40]} is out of range")
    return number


def _integer(text: str) -> int:
    if len(text) > _INTEGER_DIGITS or abs(int(text)) > MAX_INTEGER:
        raise FormatError(f"json integer {text[:40]} is out of range")
    return int(text)


def _check_text(value: Any) -> None:
    """Refuse lone surrogates; recursion is bounded, because depth was."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise FormatError("json string holds a lone surrogate") from error
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check_text(item)
    elif isinstance(value, list):
        for item in value:
            _check_text(item)


def _check_canonical(value: object) -> None:
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise FormatError("canonical json takes string keys only")
        _check_canonical(list(value))
        _check_canonical(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            _check_canonical(item)
    elif isinstance(value, str):
        _check_text(value)
    elif isinstance(value, bool) or value is None:
        return
    elif not isinstance(value, int) or abs(value) > MAX_INTEGER:
        raise FormatError(f"canonical json cannot spell {value!r}")
