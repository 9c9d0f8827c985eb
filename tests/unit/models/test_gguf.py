from __future__ import annotations

import contextlib
import os
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.models import gguf_cursor
from appliance.models.errors import (
    GgufCountError,
    GgufDuplicateKeyError,
    GgufError,
    GgufLengthError,
    GgufMagicError,
    GgufTensorError,
    GgufTypeError,
)
from appliance.models.gguf import Header
from appliance.models.gguf_tensors import read_header
from tests.unit.models.small_release import STANDARD, TENSOR, gguf, text

if TYPE_CHECKING:
    from pathlib import Path


def _read(data: bytes) -> Header:
    fd = os.memfd_create("gguf")
    try:
        os.write(fd, data)
        return read_header(fd, len(data))
    finally:
        os.close(fd)


def test_a_header_is_read() -> None:
    assert _read(gguf()) == Header(3, "gemma3", 2048, 32, 1, "model", "", ("'blk.0.weight'",))


def test_a_header_larger_than_one_window_is_read() -> None:
    many = (b"tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 120_000) + text(b"token") * 120_000)
    long = (b"some.text", 8, text(b"x" * 3_000_000))
    assert _read(gguf([many, long, *STANDARD[:2]])).architecture == "gemma3"


def test_lists_of_more_texts_than_any_vocabulary_are_refused_before_they_are_walked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file of a hundred gigabytes could hold thirteen thousand million empty texts: hours of work in one value."""
    monkeypatch.setattr(gguf_cursor, "MAX_TEXTS", 3)
    one = (b"a", 9, struct.pack("<IQ", 8, 2) + text(b"") * 2)
    assert _read(gguf([one, *STANDARD[:2]])).architecture == "gemma3"
    with pytest.raises(GgufCountError, match="vocabulary"):
        _read(gguf([one, (b"b", 9, one[2]), *STANDARD[:2]]))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", GgufMagicError),
        (b"GGUF", GgufMagicError),
        (gguf(magic=b"GGML"), GgufMagicError),
        (gguf(version=1), GgufMagicError),
        (gguf(version=4), GgufMagicError),
        (gguf(version=3 << 24), GgufMagicError),
        (gguf(n_kv=6), GgufError),
        (gguf(n_kv=100_000), GgufCountError),
        (gguf(n_tensors=1 << 62), GgufCountError),
        (gguf([*STANDARD, STANDARD[0]]), GgufDuplicateKeyError),
        (gguf([*STANDARD, (b"x", 13, b"")]), GgufTypeError),
        (gguf([*STANDARD, (b"x", 7, b"\x02")]), GgufTypeError),
        (gguf([*STANDARD, (b"x y", 0, b"\x02")]), GgufTypeError),
        (gguf([*STANDARD, (b"", 0, b"\x02")]), GgufTypeError),
        (gguf([*STANDARD, (b"k" * 300, 0, b"\x02")]), GgufLengthError),
        (gguf([*STANDARD, (b"x", 9, struct.pack("<IQ", 9, 1))]), GgufTypeError),
        (gguf([*STANDARD, (b"general.alignment", 4, struct.pack("<I", 24))]), GgufTypeError),
        (gguf([*STANDARD, (b"general.alignment", 4, bytes(4))]), GgufTypeError),
        (gguf(STANDARD[1:]), GgufTypeError),
        (gguf(STANDARD[:1]), GgufTypeError),
        (gguf([(b"general.architecture", 4, bytes(4))]), GgufTypeError),
        (gguf(tensors=[TENSOR, TENSOR]), GgufDuplicateKeyError),
        (gguf(tensors=[(b"a", (), 0, 0)]), GgufTensorError),
        (gguf(tensors=[(b"a", (1, 1, 1, 1, 1), 0, 0)]), GgufTensorError),
        (gguf(tensors=[(b"a", (0, 4), 0, 0)]), GgufTensorError),
        (gguf(tensors=[(b"a", (1 << 40, 1 << 40), 0, 0)]), GgufTensorError),
        (gguf(tensors=[(b"a", (4,), 99, 0)]), GgufTypeError),
        (gguf(tensors=[(b"a", (33,), 12, 0)]), GgufTensorError),
        (gguf(tensors=[(b"a", (4,), 0, 4)]), GgufTensorError),
        (gguf(tensors=[(b"a", (16,), 0, 32)]), GgufTensorError),
        (gguf(tensors=[(b"a", (9,), 0, 0), (b"b", (1,), 0, 32)]), GgufTensorError),
        (gguf(tensors=[(b"n" * 64, (4,), 0, 0)]), GgufLengthError),
    ],
)
def test_a_malformed_header_is_refused_with_its_own_class(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        _read(data)


@given(cut=st.integers(0, len(gguf()) - 65))
def test_a_file_cut_anywhere_in_its_header_is_refused(cut: int) -> None:
    with pytest.raises(GgufError):
        _read(gguf()[:cut])


@given(at=st.integers(0, len(gguf()) - 65), value=st.integers(0, 255))
def test_any_flipped_byte_is_read_or_refused_never_anything_else(at: int, value: int) -> None:
    data = bytearray(gguf())
    data[at] = value
    with contextlib.suppress(GgufError):
        _read(bytes(data))


@given(data=st.binary(max_size=300))
def test_noise_behind_the_magic_is_read_or_refused_never_anything_else(data: bytes) -> None:
    with pytest.raises(GgufError):
        _read(b"GGUF" + data)


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(gguf())
    fd = os.open(path, os.O_RDONLY)
    try:
        os.truncate(path, 40)
        with pytest.raises(GgufLengthError):
            read_header(fd, len(gguf()))
    finally:
        os.close(fd)
