"""The engine's memory budget: refused before loading, refused before the context is made, watched while it runs.

``RLIMIT_AS`` does not fit, since a mapped model takes address space that it need not keep resident; and a limit alone
would not do: a failed allocation inside llama.cpp aborts the process in the middle of somebody's answer. The service
manager's limit is the last line, behind this one. So what is needed is computed first, from above:

- weights: the file's size, mapped and read once;
- cache: keys and values of every layer for every cell, as if no layer had a sliding window, 16 bits each, and a
  quarter more for copies of requests that were put off, and of what goes to disk or comes from it;
- scratch: logits, candidates, masks and activations of one batch;
- process: the interpreter, the libraries and the vocabulary's tables (measured: 110 MiB for 262,144 tokens).

While it runs, resident memory is read from ``/proc/self/statm``; staying above the budget makes the engine drain and
exit, so that the service manager starts a small one again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from appliance.engine.errors import MemoryBudgetError

MIB = 1 << 20
_PROCESS_BYTES = 64 * MIB
_BYTES_PER_VOCABULARY_TOKEN = 320
GPU_DRIVER_BYTES = 600 * MIB
"""CUDA's libraries and context in an engine's process: a soak's resident memory on an H200 is 531 MiB above the
processor's once every kernel was used."""
_ACTIVATION_COPIES = 24
_GRAIN = 256
_PARKED_LEAST = 4
SAVED_PART = 4
"""Copies outside the context hold this part of its cells at most."""
_MASKS = 3  # a mask of each cache, once in 32 and once in 16 bits
_HALF = 2
_FLOAT = 4


@dataclass(frozen=True)
class ModelShape:
    """Sizes that decide how much memory a model needs; ``driver_bytes`` is what a GPU's libraries take beside it."""

    weights_bytes: int
    layers: int
    key_value_width: int
    embedding_width: int
    vocabulary: int
    driver_bytes: int = 0


@dataclass(frozen=True)
class Footprint:
    """Bytes by purpose; ``copies`` of what was put off, and of what goes to disk, lie in the host's memory always."""

    weights: int
    cache: int
    copies: int
    scratch: int
    process: int

    @property
    def total(self) -> int:
        """All of it, in bytes."""
        return self.on_device + self.copies + self.process

    @property
    def on_device(self) -> int:
        """What a GPU's memory holds of it at most, where one computes."""
        return self.weights + self.cache + self.scratch


@dataclass(frozen=True)
class Layout:
    """What a context is made for: requests side by side, sequences, and cells for all of them together."""

    slots: int
    cells: int

    @property
    def sequences(self) -> int:
        """Two for every request, and as many again for what is parked."""
        return 2 * (self.slots + max(self.slots, _PARKED_LEAST))

    @property
    def saved_cells(self) -> int:
        """Cells' worth of copies outside the context (``copies``)."""
        return self.cells // SAVED_PART


def cell_bytes(shape: ModelShape) -> int:
    """Keys and values of one token."""
    return shape.layers * shape.key_value_width * _HALF


def footprint(shape: ModelShape, layout: Layout, *, batch_tokens: int) -> Footprint:
    """What a model of ``shape`` needs at most.

    llama.cpp keeps a row of logits for every sequence, once in its output and once in its graph.
    """
    per_cell = cell_bytes(shape)
    rows = 2 * layout.sequences + 8
    return Footprint(
        weights=shape.weights_bytes,
        cache=per_cell * layout.cells,
        copies=per_cell * layout.saved_cells,
        scratch=batch_tokens * (shape.embedding_width * _ACTIVATION_COPIES + layout.cells * _MASKS) * _FLOAT
        + shape.vocabulary * rows * _FLOAT,
        process=_process(shape),
    )


def encoder_footprint(shape: ModelShape, *, batch_tokens: int) -> Footprint:
    """What a model needs that makes vectors: every token of a batch sees every other of its text.

    A decoder that makes vectors has cells for one batch; an encoder has none, and is counted as if it had.
    """
    scores = batch_tokens * batch_tokens * _MASKS
    return Footprint(
        weights=shape.weights_bytes,
        cache=shape.layers * shape.key_value_width * _HALF * batch_tokens,
        copies=0,
        scratch=(batch_tokens * shape.embedding_width * _ACTIVATION_COPIES + scores) * _FLOAT,
        process=_process(shape),
    )


def _process(shape: ModelShape) -> int:
    return _PROCESS_BYTES + shape.vocabulary * _BYTES_PER_VOCABULARY_TOKEN + shape.driver_bytes


def fitted(shape: ModelShape, context_tokens: int, *, slots: int, batch_tokens: int, budget_mib: int) -> Layout:
    """The most that ``budget_mib`` holds: at most ``slots``, then as many cells as they can use.

    Every request may have ``context_tokens``. Raises ``MemoryBudgetError`` when not even one fits.
    """
    while True:
        least = Layout(slots, _padded(context_tokens))
        needed = footprint(shape, least, batch_tokens=batch_tokens)
        if slots == 1:
            require_fit(needed, budget_mib)
        spare = budget_mib * MIB - needed.total
        if spare >= 0:
            break
        slots //= 2
    more = footprint(shape, Layout(slots, least.cells + _GRAIN), batch_tokens=batch_tokens).total - needed.total
    cells = least.cells + spare // more * _GRAIN
    return Layout(slots, min(cells, slots * least.cells))


def _padded(cells: int) -> int:
    """llama.cpp rounds a context up to whole grains."""
    return -(-cells // _GRAIN) * _GRAIN


def require_weights_fit(weights_bytes: int, budget_mib: int) -> None:
    """The check before loading: weights and process alone. Raises ``MemoryBudgetError``."""
    _require(weights_bytes + _PROCESS_BYTES, budget_mib, "its weights")


def require_fit(needed: Footprint, budget_mib: int) -> None:
    """The check before the context is made. Raises ``MemoryBudgetError``."""
    _require(needed.total, budget_mib, "weights, cache and process")


def require_on_device(needed_bytes: int, free_bytes: int) -> None:
    """What will lie on a GPU, as far as it is known before. Raises ``MemoryBudgetError``.

    CUDA's own pools come to it while it computes.
    """
    if needed_bytes > free_bytes:
        raise MemoryBudgetError(
            f"the model needs {-(-needed_bytes // MIB)} MiB on the GPU, of which {free_bytes // MIB} MiB are free",
            "lower memory_mib or context_tokens of this model in site.yaml, or give it another GPU",
        )


def _require(needed: int, budget_mib: int, what: str) -> None:
    if needed > budget_mib * MIB:
        raise MemoryBudgetError(
            f"the model needs {-(-needed // MIB)} MiB for {what}, and memory_mib grants {budget_mib}",
            "raise memory_mib or lower context_tokens of this model in site.yaml",
        )


class ResidentMemory:
    """Resident memory of this process. The counter is opened once, before the process is confined to its files."""

    def __init__(self) -> None:
        self._counter = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> int:
        """Bytes, mapped weights included."""
        pages = int(os.pread(self._counter, 256, 0).split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def close(self) -> None:
        """Close the counter."""
        os.close(self._counter)
