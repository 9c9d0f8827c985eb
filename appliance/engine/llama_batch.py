"""llama.cpp's batch on arrays of ours: filled by slices, a few calls a batch, however many tokens."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import llama_cpp
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.context import Piece

_OWNERS = 2


class Batch:
    """Room for ``size`` tokens that ``owners`` sequences own each."""

    def __init__(self, size: int, owners: int = _OWNERS) -> None:
        self._tokens = np.zeros(size, dtype=np.int32)
        self._positions = np.zeros(size, dtype=np.int32)
        self._counts = np.full(size, owners, dtype=np.int32)
        self._owners = np.zeros((size, owners), dtype=np.int32)
        self._kept = np.zeros(size, dtype=np.int8)
        base, step = self._owners.ctypes.data, self._owners.strides[0]
        self._rows = np.array([base + step * row for row in range(size)], dtype=np.uintp)
        self._struct = llama_cpp.llama_batch(
            n_tokens=0,
            token=self._pointer(self._tokens, llama_cpp.llama_token),
            embd=None,
            pos=self._pointer(self._positions, llama_cpp.llama_pos),
            n_seq_id=self._pointer(self._counts, ctypes.c_int32),
            seq_id=self._pointer(self._rows, ctypes.POINTER(llama_cpp.llama_seq_id)),
            logits=self._pointer(self._kept, ctypes.c_int8),
        )

    def fill(self, pieces: Sequence[Piece], *, every_row: bool = False) -> tuple[Any, list[int]]:
        """The struct that holds ``pieces``, good until the next call; and the row of each piece's last token.

        ``every_row``: all rows are kept, as pooling needs them.
        """
        rows, start = [], 0
        for piece in pieces:
            end = start + len(piece.tokens)
            self._tokens[start:end] = piece.tokens
            self._positions[start:end] = range(piece.position, piece.position + len(piece.tokens))
            self._owners[start:end] = piece.sequences
            self._kept[start:end] = every_row
            self._kept[end - 1] = piece.sampled or every_row
            rows.append(end - 1)
            start = end
        self._struct.n_tokens = start
        return self._struct, rows

    @staticmethod
    def _pointer(array: np.ndarray[Any, Any], kind: Any) -> Any:
        return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))
