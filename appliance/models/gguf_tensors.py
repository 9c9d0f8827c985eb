"""The tensor table of a GGUF file: every tensor inside the file, aligned, not empty, not over another."""

from __future__ import annotations

from dataclasses import dataclass, replace

from appliance.models.errors import GgufDuplicateKeyError, GgufTensorError, GgufTypeError
from appliance.models.gguf import Header, read_pairs
from appliance.models.gguf_cursor import Cursor

MAX_NAME_BYTES = 63
MAX_DIMENSIONS = 4
# ggml type → (elements in a block, bytes of a block); ggml.h and ggml-common.h of llama-cpp-python 0.3.36.
_BLOCKS = {
    0: (1, 4),
    1: (1, 2),
    2: (32, 18),
    3: (32, 20),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
    10: (256, 84),
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
    20: (32, 18),
    23: (256, 136),
    24: (1, 1),
    25: (1, 2),
    26: (1, 4),
    27: (1, 8),
    28: (1, 8),
    30: (1, 2),
}


@dataclass(frozen=True)
class _Extent:
    name: str
    offset: int
    size: int


def read_header(fd: int, size: int) -> Header:
    """Read and check the whole header of the file behind ``fd``. Raises one of the ``Gguf…Error`` classes."""
    cursor = Cursor(fd, size)
    header = read_pairs(cursor)
    extents: dict[str, _Extent] = {}
    for _ in range(header.tensors):
        extent = _extent(cursor, header.alignment)
        if extent.name in extents:
            raise GgufDuplicateKeyError(f"tensor {extent.name} occurs twice")
        extents[extent.name] = extent
    begin = -(-cursor.position // header.alignment) * header.alignment
    _check_layout(sorted(extents.values(), key=lambda e: e.offset), size - begin)
    return replace(header, names=tuple(extents))


def _extent(cursor: Cursor, alignment: int) -> _Extent:
    name = ascii(cursor.short_text(MAX_NAME_BYTES, "a tensor's name").decode("utf-8", errors="replace"))
    dimensions = cursor.u32()
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise GgufTensorError(f"tensor {name} has {dimensions} dimensions")
    shape = [cursor.u64() for _ in range(dimensions)]
    kind, offset = cursor.u32(), cursor.u64()
    if kind not in _BLOCKS:
        raise GgufTypeError(f"tensor {name} has the unknown type {kind}")
    elements, block = _BLOCKS[kind]
    if 0 in shape or shape[0] % elements:
        raise GgufTensorError(f"tensor {name} has a dimension of 0, or rows that are no whole blocks")
    if offset % alignment:
        raise GgufTensorError(f"tensor {name} is not aligned")
    size = block
    for factor in (shape[0] // elements, *shape[1:]):
        size *= factor  # Python's numbers do not overflow; the comparison with the file's size comes below
    return _Extent(name, offset, size)


def _check_layout(extents: list[_Extent], room: int) -> None:
    end = 0
    for extent in extents:
        if extent.offset < end:
            raise GgufTensorError(f"tensor {extent.name} lies over another")
        end = extent.offset + extent.size
        if end > room:
            raise GgufTensorError(f"tensor {extent.name} reaches past the end of the file")
