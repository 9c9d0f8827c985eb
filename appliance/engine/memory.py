"""The engine's memory budget: refused before loading, refused before the context is made, watched while it runs.

``RLIMIT_AS`` does not fit, since a mapped model takes address space that it need not keep resident; and a limit alone
would not do: a failed allocation inside llama.cpp aborts the process in the middle of somebody's answer. The service
manager's limit is the last line, behind this one. So what is needed is computed first, from above:

- weights: the file's size, mapped and read once;
- cache: keys and values of every layer for the whole context, as if no layer had a sliding window, 16 bits each;
- scratch: logits, candidates and activations of one chunk;
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
_ACTIVATION_COPIES = 24
_HALF = 2
_FLOAT = 4


@dataclass(frozen=True)
class ModelShape:
    """Sizes that decide how much memory a model needs."""

    weights_bytes: int
    layers: int
    key_value_width: int
    embedding_width: int
    vocabulary: int


@dataclass(frozen=True)
class Footprint:
    """Bytes by purpose."""

    weights: int
    cache: int
    scratch: int
    process: int

    @property
    def total(self) -> int:
        """All of it, in bytes."""
        return self.weights + self.cache + self.scratch + self.process


def footprint(shape: ModelShape, *, context_tokens: int, chunk_tokens: int) -> Footprint:
    """What a model of ``shape`` needs at most."""
    return Footprint(
        weights=shape.weights_bytes,
        cache=shape.layers * shape.key_value_width * context_tokens * _HALF,
        scratch=chunk_tokens * shape.embedding_width * _ACTIVATION_COPIES * _FLOAT + shape.vocabulary * 8 * _FLOAT,
        process=_PROCESS_BYTES + shape.vocabulary * _BYTES_PER_VOCABULARY_TOKEN,
    )


def require_weights_fit(weights_bytes: int, budget_mib: int) -> None:
    """The check before loading: weights and process alone. Raises ``MemoryBudgetError``."""
    _require(weights_bytes + _PROCESS_BYTES, budget_mib, "its weights")


def require_fit(needed: Footprint, budget_mib: int) -> None:
    """The check before the context is made. Raises ``MemoryBudgetError``."""
    _require(needed.total, budget_mib, "weights, cache and process")


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
