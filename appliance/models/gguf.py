"""A strict reader of GGUF headers (ggml-org/ggml docs/gguf.md, versions 2 and 3, little endian).

llama.cpp parses the file later; this reader comes first and takes nothing on trust. Every count and length is compared
with what the rest of the file can hold *before* anything of that size is read or looped over, so that its cost is
bounded by the file's size. Only the values that the gate compares are kept; the rest is walked over.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.models.errors import (
    GgufCountError,
    GgufDuplicateKeyError,
    GgufMagicError,
    GgufTypeError,
)

if TYPE_CHECKING:
    from appliance.models.gguf_cursor import Cursor

MAX_PAIRS = 4096
MAX_TENSORS = 65_536
MAX_KEY_BYTES = 256
MAX_KEPT_BYTES = 256
MODEL, PROJECTOR_ARCHITECTURE = "model", "clip"
_PAIR_BYTES = 8 + 1 + 4 + 1
_TENSOR_BYTES = 8 + 1 + 4 + 8 + 4 + 8
_VERSIONS = (2, 3)
_KEY = re.compile(rb"[A-Za-z0-9_.\-]+")
_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<B"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_BOOL, _STRING, _ARRAY = 7, 8, 9


@dataclass(frozen=True)
class Header:
    """What the gate compares with the record. ``kind`` is GGUF's ``general.type``; ``names`` are the tensors', escaped.

    A projector and an adapter have no context of their own.
    """

    version: int
    architecture: str
    context_length: int | None
    alignment: int
    tensors: int
    kind: str
    adapter: str
    names: tuple[str, ...] = ()


def read_pairs(cursor: Cursor) -> Header:
    """Read magic, counts and all key-value pairs; the cursor then stands at the first tensor description.

    Raises one of the ``Gguf…Error`` classes for anything that breaks the format or its caps.
    """
    if cursor.size < len(b"GGUF") + 4 + 8 + 8 or cursor.take(4) != b"GGUF":
        raise GgufMagicError("the weights are no GGUF file")
    version = cursor.u32()
    if version not in _VERSIONS:
        raise GgufMagicError(f"GGUF version {version} is not read here")
    tensors = _count(cursor.u64(), cursor, MAX_TENSORS, _TENSOR_BYTES, "tensors")
    pairs = _count(cursor.u64(), cursor, MAX_PAIRS, _PAIR_BYTES, "key-value pairs")
    values: dict[str, Any] = {}
    for _ in range(pairs):
        key = _key(cursor)
        if key in values:
            raise GgufDuplicateKeyError(f"key {key} occurs twice")
        values[key] = _value(cursor, cursor.u32())
    if values.get("split.count", 1) not in (0, 1):
        raise GgufCountError("the weights are one part of several: llama.cpp would open the others by name, unverified")
    architecture = _kept(values, "general.architecture", str)
    if not _KEY.fullmatch(architecture.encode()):
        raise GgufTypeError(f"the architecture {architecture!a:.60} is no name")
    values = {"general.type": MODEL, "adapter.type": "", **values}
    kind = _kept(values, "general.type", str)
    whole = kind == MODEL and architecture != PROJECTOR_ARCHITECTURE
    return Header(
        version=version,
        architecture=architecture,
        context_length=_kept(values, f"{architecture}.context_length", int) if whole else None,
        alignment=_alignment(values),
        tensors=tensors,
        kind=kind,
        adapter=_kept(values, "adapter.type", str),
    )


def _count(count: int, cursor: Cursor, cap: int, least: int, what: str) -> int:
    if count > cap or count * least > cursor.left:
        raise GgufCountError(f"{count} {what} in a file of {cursor.size} bytes")
    return count


def _key(cursor: Cursor) -> str:
    key = cursor.short_text(MAX_KEY_BYTES, "a key")
    if not _KEY.fullmatch(key):
        raise GgufTypeError(f"{key!r:.80} is no key")
    return key.decode("ascii")


def _value(cursor: Cursor, kind: int) -> Any:
    """The value, if the gate may want it; ``None`` for lists and long texts, which are passed over."""
    if kind == _STRING:
        return _text(cursor)
    if kind == _ARRAY:
        _pass_array(cursor)
        return None
    scalar = _SCALARS.get(kind)
    if scalar is None:
        raise GgufTypeError(f"value type {kind} is unknown")
    value = scalar.unpack(cursor.take(scalar.size))[0]
    if kind == _BOOL and value not in (0, 1):
        raise GgufTypeError(f"a boolean is {value}")
    return value


def _text(cursor: Cursor) -> str | None:
    length = cursor.u64()
    if length > MAX_KEPT_BYTES:
        cursor.skip(length)
        return None
    return cursor.take(length).decode("utf-8", errors="replace")


def _pass_array(cursor: Cursor) -> None:
    kind, count = cursor.u32(), cursor.u64()
    if kind == _STRING:
        cursor.skip_texts(count)
    elif kind in _SCALARS:
        cursor.skip(count * _SCALARS[kind].size)
    else:
        raise GgufTypeError(f"a list of value type {kind} is not accepted")


def _kept(values: dict[str, Any], key: str, kind: type) -> Any:
    value = values.get(key)
    if type(value) is not kind:
        raise GgufTypeError(f"{key} is missing or no {kind.__name__}")
    return value


def _alignment(values: dict[str, Any]) -> int:
    value = values.get("general.alignment", 32)
    if type(value) is not int or not 8 <= value <= 65_536 or value & (value - 1):  # noqa: PLR2004 - GGUF's own bounds: a power of two, 8 at least
        raise GgufTypeError("general.alignment is no power of two between 8 and 65536")
    return value
