"""The context on llama.cpp, through the low-level API of llama-cpp-python, which the ``llama_`` modules alone call.

Lifetimes: the model outlives the context, the context outlives its samplers; ``close`` frees them in that order and is
called once, after the owner thread has ended. llama.cpp reports failures by return value; a C++ exception would end the
process, so nothing is handed to it that it is known to throw on (a token that a grammar does not accept, an empty
candidate list).
"""

from __future__ import annotations

import ctypes
import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import llama_cpp

from appliance.engine import llama_backend, llama_model, pace
from appliance.engine.distribution import token_logprob
from appliance.engine.errors import DecodeError, GivenUpError, MemoryBudgetError, ModelLoadError, NoRoomError
from appliance.engine.llama_abort import Abort
from appliance.engine.llama_batch import Batch
from appliance.engine.llama_sampler import (
    GrammarSampler,
    GreedySampler,
    PlainSampler,
    WholeSampler,
    cut_of,
    logits_at,
)
from appliance.engine.llama_vocab import LlamaVocabulary
from appliance.engine.memory import Layout, cell_bytes, fitted, footprint, require_on_device, require_weights_fit

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from appliance.engine.context import Piece, Sampler, Sampling
    from appliance.engine.llama_sampler import Logits
    from appliance.engine.protocol import TokenLogprob

_NO_SLOT, _ABORTED = 1, 2


class LlamaContext(LlamaVocabulary):
    """Implements ``appliance.engine.context.Context`` for one model file, already verified and open as ``fd``.

    ``adapters`` are verified adapters of this model by name, open like it. ``slots`` is how many requests may be
    computed side by side; how many ``budget_mib`` holds shows in ``slots`` afterwards. Raises ``MemoryBudgetError``
    when the model does not fit ``budget_mib``, ``ModelLoadError`` when
    llama.cpp refuses.
    """

    def __init__(  # noqa: PLR0913 - what a context is made of, named at the call
        self,
        fd: int,
        *,
        context_tokens: int,
        threads: int,
        budget_mib: int,
        slots: int = 1,
        adapters: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        weights = sum(os.fstat(one).st_size for one in (fd, *adapters.values()))
        require_weights_fit(weights, budget_mib)
        llama_backend.start()
        self._batch_tokens = pace.of(llama_backend.device()).batch_tokens
        self._model = llama_model.load(fd)
        super().__init__(llama_cpp.llama_model_get_vocab(self._model))
        try:
            llama_model.require_servable(self._model, context_tokens)
            self._adapters = {name: llama_model.load_adapter(self._model, one) for name, one in adapters.items()}
            self._adapted = ""
            shape = llama_model.shape(self._model, weights, self._vocabulary)
            self.cell_bytes = cell_bytes(shape)
            self._layout = fitted(
                shape, context_tokens, slots=slots, batch_tokens=self._batch_tokens, budget_mib=budget_mib
            )
            if (device := llama_backend.device()) is not None:
                needed = footprint(shape, self._layout, batch_tokens=self._batch_tokens)
                require_on_device(needed.on_device, device.free_bytes)
            self._context = self._new_context(self._layout, threads)
        except (ModelLoadError, MemoryBudgetError):
            llama_cpp.llama_model_free(self._model)
            raise
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = Batch(self._batch_tokens)
        self._abort = Abort(self._context)
        self._context_tokens = context_tokens

    def _new_context(self, layout: Layout, threads: int) -> Any:
        """A window's layers get as many cells as the others: cells that two sequences own are never reclaimed."""
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = layout.cells
        params.n_batch = params.n_ubatch = self._batch_tokens
        params.n_seq_max = params.n_outputs_max = layout.sequences
        params.n_threads = params.n_threads_batch = threads
        params.swa_full = True
        params.kv_unified = True
        params.offload_kqv = params.op_offload = llama_backend.device() is not None
        context = llama_cpp.llama_init_from_model(self._model, params)
        if not context:
            raise ModelLoadError("llama.cpp cannot make a context for the model", "the engine's log names the reason")
        return context

    @property
    def context_tokens(self) -> int:
        """See ``Context``."""
        return self._context_tokens

    @property
    def cells(self) -> int:
        """See ``Context``."""
        return int(llama_cpp.llama_n_ctx(self._context))

    @property
    def slots(self) -> int:
        """Requests that may be computed side by side."""
        return self._layout.slots

    @property
    def sequences(self) -> int:
        """See ``Context``."""
        return self._layout.sequences

    @property
    def batch_tokens(self) -> int:
        """See ``Context``."""
        return self._batch_tokens

    @property
    def apart(self) -> bool:
        """See ``Context``."""
        return llama_backend.device() is not None

    @property
    def window(self) -> int:
        """See ``Memory``."""
        return int(llama_cpp.llama_model_n_swa(self._model))

    def logprob(self, row: int, token: int, top: int) -> TokenLogprob:
        """See ``Context``."""
        return token_logprob(logits_at(self._context, row, self._vocabulary), token, top, self.piece)

    @property
    def adapters(self) -> Collection[str]:
        """See ``Context``."""
        return self._adapters.keys()

    def adapt(self, adapter: str) -> None:
        """See ``Context``."""
        if adapter == self._adapted:
            return
        chosen = [self._adapters[adapter]] if adapter else []
        pointers = (llama_cpp.llama_adapter_lora_p_ctypes * len(chosen))(*chosen)
        scales = (ctypes.c_float * len(chosen))(*(1.0 for _ in chosen))
        if llama_cpp.llama_set_adapters_lora(self._context, pointers, len(chosen), scales) != 0:
            raise DecodeError("llama.cpp does not take the adapter")
        self._adapted = adapter

    def clear(self) -> None:
        """See ``Context``. The cells' contents are zeroed too."""
        llama_cpp.llama_memory_clear(self._memory, True)  # noqa: FBT003 - C call

    def decode(self, pieces: Sequence[Piece]) -> list[int]:
        """See ``Context``."""
        batch, rows = self._batch.fill(pieces)
        code = llama_cpp.llama_decode(self._context, batch)
        if code == _NO_SLOT:
            raise NoRoomError("llama_decode found no room")
        if code == _ABORTED:
            raise GivenUpError("llama_decode was given up")
        if code != 0:
            raise DecodeError(f"llama_decode returned {code}")
        return rows

    def wait(self) -> None:
        """See ``Context``."""
        if self.apart:
            llama_cpp.llama_synchronize(self._context)

    def give_up(self, *, wanted: bool) -> None:
        """See ``Context``."""
        self._abort.want(wanted)

    def logits(self, row: int) -> Logits:
        """*Owner.* A copy of the logits at ``row`` of the last decode."""
        return logits_at(self._context, row, self._vocabulary).copy()

    def share(self, source: int, target: int, length: int) -> None:
        """See ``Memory``."""
        llama_cpp.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def cut(self, sequence: int, length: int) -> None:
        """See ``Memory``."""
        llama_cpp.llama_memory_seq_rm(self._memory, sequence, length, -1)

    def extent(self, sequence: int) -> tuple[int, int]:
        """See ``Memory``."""
        lowest = llama_cpp.llama_memory_seq_pos_min(self._memory, sequence)
        return lowest, llama_cpp.llama_memory_seq_pos_max(self._memory, sequence)

    def save(self, sequence: int) -> bytearray:
        """See ``Memory``. Made once: what is copied is counted against the memory budget."""
        state = bytearray(llama_cpp.llama_state_seq_get_size(self._context, sequence))
        buffer = (ctypes.c_uint8 * len(state)).from_buffer(state)
        written = llama_cpp.llama_state_seq_get_data(self._context, buffer, len(state), sequence)
        del buffer  # it holds the bytes in place
        del state[written:]
        return state

    def restore(self, sequence: int, state: bytearray) -> bool:
        """See ``Memory``."""
        buffer = (ctypes.c_uint8 * len(state)).from_buffer(state)
        read = int(llama_cpp.llama_state_seq_set_data(self._context, buffer, len(state), sequence))
        done = read == len(state)
        if not done:
            self.cut(sequence, 0)
        return done

    def sampler(self, sampling: Sampling) -> Sampler:
        """See ``Context``."""
        if sampling.grammar is not None:
            return GrammarSampler(self._context, self._vocab, self._vocabulary, sampling)
        if sampling.temperature <= 0:
            return GreedySampler(self._context, self._vocabulary)
        kind = PlainSampler if cut_of(sampling) else WholeSampler
        return kind(self._context, self._vocabulary, sampling)

    def facts(self) -> dict[str, str]:
        """What a saved state depends on beside its tokens: the library that wrote it and how its cells are kept."""
        device = llama_backend.device()
        return {
            **({} if device is None else {"device": device.name}),
            "library": llama_cpp.__version__,
            "system": llama_cpp.llama_print_system_info().decode(errors="replace"),
            "cells": "f16 keys, f16 values, unified, whole windows",
            "window": str(self.window),
            "vocabulary": str(self._vocabulary),
        }

    def close(self) -> None:
        """Free context and model. Nothing may be called afterwards."""
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)
