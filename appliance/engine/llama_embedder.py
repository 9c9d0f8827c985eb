"""Vectors on llama.cpp: texts side by side in one batch, each seeing itself alone, pooled as the model's file says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import llama_cpp
import numpy as np

from appliance.engine import llama_backend, llama_model
from appliance.engine.context import Piece
from appliance.engine.errors import DecodeError, MemoryBudgetError, ModelLoadError
from appliance.engine.llama_batch import Batch
from appliance.engine.llama_vocab import LlamaVocabulary
from appliance.engine.memory import encoder_footprint, require_fit, require_on_device, require_weights_fit

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH_TOKENS = 512
BATCH_TEXTS = 32
FEW_TOKENS = 32
"""A question's: as fast on one processor as on two, and much faster where another process has one of them."""
_POOLED = {1: "mean", 2: "first", 3: "last"}  # llama.h, enum llama_pooling_type
_NOTHING = 1e-12


class LlamaEmbedder(LlamaVocabulary):
    """Implements ``embedding.engine.Embedder`` for one verified model file, open as ``fd``.

    A text has ``context_tokens`` at most. Raises ``MemoryBudgetError`` when the model does not fit ``budget_mib``,
    ``ModelLoadError`` when llama.cpp refuses it or it makes no vectors of texts.
    """

    def __init__(self, fd: int, *, context_tokens: int, threads: int, budget_mib: int) -> None:
        weights = os.fstat(fd).st_size
        require_weights_fit(weights, budget_mib)
        llama_backend.start()
        self._model = llama_model.load(fd)
        super().__init__(llama_cpp.llama_model_get_vocab(self._model))
        try:
            llama_model.require_servable(self._model, context_tokens)
            self._text_tokens = context_tokens
            self._batch_tokens = max(BATCH_TOKENS, context_tokens)
            shape = llama_model.shape(self._model, weights, self._vocabulary)
            needed = encoder_footprint(shape, batch_tokens=self._batch_tokens)
            require_fit(needed, budget_mib)
            if (device := llama_backend.device()) is not None:
                require_on_device(needed.on_device, device.free_bytes)
            self._context = self._new_context(threads)
            self._threads = threads
        except (ModelLoadError, MemoryBudgetError):
            llama_cpp.llama_model_free(self._model)
            raise
        self._width = int(llama_cpp.llama_model_n_embd_out(self._model))
        self._batch = Batch(self._batch_tokens, owners=1)

    def _new_context(self, threads: int) -> object:
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = self._batch_tokens
        params.n_seq_max = BATCH_TEXTS
        params.n_threads = params.n_threads_batch = threads
        params.embeddings = True
        params.kv_unified = True
        params.offload_kqv = params.op_offload = llama_backend.device() is not None
        context = llama_cpp.llama_init_from_model(self._model, params)
        if not context:
            raise ModelLoadError("llama.cpp cannot make a context for the model", "the engine's log names the reason")
        if llama_cpp.llama_pooling_type(context) not in _POOLED:
            llama_cpp.llama_free(context)
            raise ModelLoadError("the model's file does not say how a text becomes one vector (pooling_type)")
        return context

    @property
    def text_tokens(self) -> int:
        """See ``Embedder``."""
        return self._text_tokens

    @property
    def batch_tokens(self) -> int:
        """See ``Embedder``."""
        return self._batch_tokens

    @property
    def batch_texts(self) -> int:
        """See ``Embedder``."""
        return BATCH_TEXTS

    @property
    def dimensions(self) -> int:
        """Numbers of a vector."""
        return self._width

    def embed(self, texts: Sequence[Sequence[int]]) -> list[bytes]:
        """See ``Embedder``."""
        memory = llama_cpp.llama_get_memory(self._context)
        if memory:
            llama_cpp.llama_memory_clear(memory, False)  # noqa: FBT003 - C call
        pieces = [Piece(tuple(text), 0, (number,), sampled=True) for number, text in enumerate(texts)]
        batch, _ = self._batch.fill(pieces, every_row=True)
        threads = 1 if sum(map(len, texts)) <= FEW_TOKENS else self._threads
        llama_cpp.llama_set_n_threads(self._context, threads, threads)
        if (code := llama_cpp.llama_decode(self._context, batch)) != 0:
            raise DecodeError(f"llama_decode returned {code}")
        return [self._vector(number) for number in range(len(texts))]

    def _vector(self, sequence: int) -> bytes:
        found = llama_cpp.llama_get_embeddings_seq(self._context, sequence)
        if not found:
            raise DecodeError("llama.cpp gave no vector for a text")
        vector = np.ctypeslib.as_array(found, (self._width,)).astype("<f4")
        length = float(np.linalg.norm(vector))
        if not np.isfinite(length) or length < _NOTHING:
            raise DecodeError("a text's vector has no direction")
        return (vector / np.float32(length)).astype("<f4").tobytes()

    def close(self) -> None:
        """Free context and model. Nothing may be called afterwards."""
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)
