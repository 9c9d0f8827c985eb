"""The context on llama.cpp, through the low-level API of llama-cpp-python. The only module that calls it.

Lifetimes: the model outlives the context, the context outlives its samplers; ``close`` frees them in that order and is
called once, after the owner thread has ended. llama.cpp reports failures by return value; a C++ exception would end the
process, so nothing is handed to it that it is known to throw on (a token that a grammar does not accept, an empty
candidate list).
"""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any

import llama_cpp

from appliance.engine.distribution import token_logprob
from appliance.engine.errors import DecodeError, MemoryBudgetError, ModelLoadError, NoRoomError
from appliance.engine.llama_batch import Batch
from appliance.engine.llama_log import keep_log_quiet
from appliance.engine.llama_sampler import (
    GrammarSampler,
    GreedySampler,
    PlainSampler,
    WholeSampler,
    cut_of,
    logits_at,
    parse_grammar,
)
from appliance.engine.memory import Layout, ModelShape, fitted, require_weights_fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.context import Piece, Sampler, Sampling
    from appliance.engine.llama_sampler import Logits
    from appliance.engine.protocol import TokenLogprob

BATCH_TOKENS = 256
_NO_SLOT = 1
_PIECE_BYTES = 512
_ATTR_CONTROL = 1 << 3
_LIBC = ctypes.CDLL(None)
_LIBC.fdopen.restype = ctypes.c_void_p
_LIBC.fclose.argtypes = (ctypes.c_void_p,)


class LlamaContext:
    """Implements ``appliance.engine.context.Context`` for one model file, already verified and open as ``fd``.

    ``slots`` is how many requests may be computed side by side; how many ``budget_mib`` holds shows in ``slots``
    afterwards. Raises ``MemoryBudgetError`` when the model does not fit ``budget_mib``, ``ModelLoadError`` when
    llama.cpp refuses.
    """

    def __init__(self, fd: int, *, context_tokens: int, threads: int, budget_mib: int, slots: int = 1) -> None:
        require_weights_fit(os.fstat(fd).st_size, budget_mib)
        keep_log_quiet()
        llama_cpp.llama_backend_init()
        self._model = self._load(fd)
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(self._vocab)
        try:
            self._require_trained_for(context_tokens)
            self._require_attention()
            shape = self._shape(os.fstat(fd).st_size)
            self._layout = fitted(shape, context_tokens, slots=slots, batch_tokens=BATCH_TOKENS, budget_mib=budget_mib)
            self._context = self._new_context(self._layout, threads)
        except (ModelLoadError, MemoryBudgetError):
            llama_cpp.llama_model_free(self._model)
            raise
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = Batch(BATCH_TOKENS)
        self._context_tokens = context_tokens
        self._controls = tuple(self._control_texts())

    @staticmethod
    def _load(fd: int) -> Any:
        """Load by the descriptor itself: no name is opened again, so what was verified is what is mapped."""
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = 0
        params.load_mode = llama_cpp.LLAMA_LOAD_MODE_MMAP
        params.check_tensors = True
        os.lseek(fd, 0, os.SEEK_SET)
        stream = _LIBC.fdopen(os.dup(fd), b"rb")
        if not stream:
            raise ModelLoadError("the model's descriptor cannot be read")
        model = llama_cpp.llama_model_load_from_file_ptr(stream, params)
        _LIBC.fclose(stream)
        if not model:
            raise ModelLoadError("llama.cpp refuses the model file", "the engine's log names the reason")
        return model

    def _require_trained_for(self, context_tokens: int) -> None:
        trained = llama_cpp.llama_model_n_ctx_train(self._model)
        if context_tokens > trained:
            raise ModelLoadError(
                f"context_tokens is {context_tokens} and the model was trained for {trained}",
                "lower context_tokens of this model in site.yaml",
            )

    def _require_attention(self) -> None:
        """Layers that keep a running state cannot go back to the middle of a prompt, and would answer wrongly."""
        if llama_cpp.llama_model_is_recurrent(self._model) or llama_cpp.llama_model_is_hybrid(self._model):
            raise ModelLoadError("the model has recurrent layers, which this engine does not serve")

    def _new_context(self, layout: Layout, threads: int) -> Any:
        """A window's layers get as many cells as the others: cells that two sequences own are never reclaimed."""
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = layout.cells
        params.n_batch = params.n_ubatch = BATCH_TOKENS
        params.n_seq_max = params.n_outputs_max = layout.sequences
        params.n_threads = params.n_threads_batch = threads
        params.swa_full = True
        params.kv_unified = True
        params.offload_kqv = params.op_offload = False
        context = llama_cpp.llama_init_from_model(self._model, params)
        if not context:
            raise ModelLoadError("llama.cpp cannot make a context for the model", "the engine's log names the reason")
        return context

    def _shape(self, weights_bytes: int) -> ModelShape:
        model = self._model
        width, heads = llama_cpp.llama_model_n_embd(model), max(1, llama_cpp.llama_model_n_head(model))
        architecture = self._metadata("general.architecture")
        lengths = [self._metadata(f"{architecture}.attention.{name}_length") for name in ("key", "value")]
        per_head = sum(int(length) if length.isdigit() else width // heads for length in lengths)
        return ModelShape(
            weights_bytes=weights_bytes,
            layers=llama_cpp.llama_model_n_layer(model),
            key_value_width=per_head * llama_cpp.llama_model_n_head_kv(model),
            embedding_width=width,
            vocabulary=self._vocabulary,
        )

    def _metadata(self, key: str) -> str:
        buffer = ctypes.create_string_buffer(128)
        length = llama_cpp.llama_model_meta_val_str(self._model, key.encode(), buffer, len(buffer))
        return buffer.value.decode(errors="replace") if length >= 0 else ""

    def _control_texts(self) -> list[str]:
        return [
            llama_cpp.llama_vocab_get_text(self._vocab, token).decode(errors="replace")
            for token in range(self._vocabulary)
            if llama_cpp.llama_vocab_get_attr(self._vocab, token) & _ATTR_CONTROL
        ]

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
        return BATCH_TOKENS

    @property
    def window(self) -> int:
        """See ``Memory``."""
        return int(llama_cpp.llama_model_n_swa(self._model))

    @property
    def control_texts(self) -> Sequence[str]:
        """See ``Context``."""
        return self._controls

    def tokenize(self, text: str, *, control: bool, begin: bool) -> list[int]:
        """See ``Context``. A token is at least one byte, so the buffer below always suffices."""
        data = text.encode("utf-8", errors="replace")
        room = len(data) + 8
        buffer = (llama_cpp.llama_token * room)()
        count = llama_cpp.llama_tokenize(self._vocab, data, len(data), buffer, room, begin, control)
        if count < 0:
            raise DecodeError("the prompt could not be tokenised")
        return buffer[:count]

    def piece(self, token: int) -> bytes:
        """See ``Context``."""
        buffer = ctypes.create_string_buffer(_PIECE_BYTES)
        length = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, _PIECE_BYTES, 0, False)  # noqa: FBT003 - C call
        return buffer.raw[: max(0, length)]

    def is_end(self, token: int) -> bool:
        """See ``Context``."""
        return bool(llama_cpp.llama_vocab_is_eog(self._vocab, token))

    def logprob(self, row: int, token: int, top: int) -> TokenLogprob:
        """See ``Context``."""
        return token_logprob(logits_at(self._context, row, self._vocabulary), token, top, self.piece)

    def check_grammar(self, grammar: str) -> bool:
        """See ``Context``."""
        parsed = parse_grammar(self._vocab, grammar)
        if parsed is None:
            return False
        llama_cpp.llama_sampler_free(parsed)
        return True

    def clear(self) -> None:
        """See ``Context``. The cells' contents are zeroed too."""
        llama_cpp.llama_memory_clear(self._memory, True)  # noqa: FBT003 - C call

    def decode(self, pieces: Sequence[Piece]) -> list[int]:
        """See ``Context``."""
        batch, rows = self._batch.fill(pieces)
        code = llama_cpp.llama_decode(self._context, batch)
        if code == _NO_SLOT:
            raise NoRoomError("llama_decode found no room")
        if code != 0:
            raise DecodeError(f"llama_decode returned {code}")
        return rows

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

    def save(self, sequence: int) -> bytes:
        """See ``Memory``."""
        size = llama_cpp.llama_state_seq_get_size(self._context, sequence)
        buffer = (ctypes.c_uint8 * size)()
        written = llama_cpp.llama_state_seq_get_data(self._context, buffer, size, sequence)
        return memoryview(buffer)[:written].tobytes()

    def restore(self, sequence: int, state: bytes) -> bool:
        """See ``Memory``."""
        buffer = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
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

    def close(self) -> None:
        """Free context and model. Nothing may be called afterwards."""
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)
