"""A draw from a whole vocabulary: one pass over the logits, no list of candidates. Pure.

llama.cpp's chain makes a candidate of every token first, which over 262,144 tokens takes three times as long (measured
beside each other: 3.8 against 1.1 ms a row), and a batch has many rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    Logits = np.ndarray[Any, np.dtype[np.float32]]

_BLOCK = 64


def drawn(logits: Logits, temperature: float, uniform: float) -> int:
    """The token at ``uniform`` (0 ≤ uniform < 1) of the cumulative softmax of ``logits`` over ``temperature``."""
    weights = np.exp((logits - logits.max()) / np.float32(temperature))
    starts = np.arange(0, len(weights), _BLOCK)
    blocks = np.cumsum(np.add.reduceat(weights, starts), dtype=np.float64)
    target = uniform * blocks[-1]
    block = min(int(np.searchsorted(blocks, target, side="right")), len(blocks) - 1)
    inside = np.cumsum(weights[block * _BLOCK : (block + 1) * _BLOCK], dtype=np.float64)
    rest = target - (blocks[block - 1] if block else 0.0)
    last = int(np.flatnonzero(inside < inside[-1])[-1]) + 1 if inside[0] < inside[-1] else 0
    return block * _BLOCK + min(int(np.searchsorted(inside, rest, side="right")), last)
