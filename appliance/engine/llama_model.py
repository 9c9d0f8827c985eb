"""Loading a verified model file, and what its head says of its size."""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import llama_cpp

from appliance.engine import llama_backend
from appliance.engine.errors import ModelLoadError
from appliance.engine.memory import GPU_DRIVER_BYTES, ModelShape, require_on_device

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALL_LAYERS = -1
_LIBC = ctypes.CDLL(None)
_LIBC.fdopen.restype = ctypes.c_void_p
_LIBC.fclose.argtypes = (ctypes.c_void_p,)


def load(fd: int) -> Any:
    """Load by the descriptor itself: no name is opened again, so what was verified is what is mapped.

    Where the process computes on a GPU all layers are copied to it. Raises ``MemoryBudgetError`` where they have no
    room there, and ``ModelLoadError``.
    """
    params = llama_cpp.llama_model_default_params()
    device = llama_backend.device()
    params.n_gpu_layers = 0 if device is None else _ALL_LAYERS
    if device is not None:
        require_on_device(os.fstat(fd).st_size, device.free_bytes)
    params.load_mode = llama_cpp.LLAMA_LOAD_MODE_MMAP
    params.check_tensors = True
    with _stream(fd) as stream:
        model = llama_cpp.llama_model_load_from_file_ptr(stream, params)
    if not model:
        raise ModelLoadError("llama.cpp refuses the model file", "the engine's log names the reason")
    return model


def load_adapter(model: Any, fd: int) -> Any:
    """A LoRA adapter for ``model``, by its verified descriptor, as ``load``; freed with the model.

    All of a model's are loaded before a context is made, which sizes its graphs by them.
    """
    with _stream(fd) as stream:
        adapter = llama_cpp.llama_adapter_lora_init_from_file_ptr(model, stream)
    if not adapter:
        raise ModelLoadError("llama.cpp refuses an adapter file", "the engine's log names the reason")
    return adapter


@contextmanager
def _stream(fd: int) -> Iterator[Any]:
    """C's ``FILE *`` over a copy of ``fd``, from its beginning."""
    os.lseek(fd, 0, os.SEEK_SET)
    stream = _LIBC.fdopen(os.dup(fd), b"rb")
    if not stream:
        raise ModelLoadError("the model's descriptor cannot be read")
    try:
        yield stream
    finally:
        _LIBC.fclose(stream)


def require_servable(model: Any, context_tokens: int) -> None:
    """Raise ``ModelLoadError`` for a model that this engine would answer wrongly with.

    Layers that keep a running state cannot go back to the middle of a prompt.
    """
    trained = llama_cpp.llama_model_n_ctx_train(model)
    if context_tokens > trained:
        raise ModelLoadError(
            f"context_tokens is {context_tokens} and the model was trained for {trained}",
            "lower context_tokens of this model in site.yaml",
        )
    if llama_cpp.llama_model_is_recurrent(model) or llama_cpp.llama_model_is_hybrid(model):
        raise ModelLoadError("the model has recurrent layers, which this engine does not serve")


def shape(model: Any, weights_bytes: int, vocabulary: int) -> ModelShape:
    """What decides how much memory the model needs."""
    width, heads = llama_cpp.llama_model_n_embd(model), max(1, llama_cpp.llama_model_n_head(model))
    architecture = _metadata(model, "general.architecture")
    lengths = [_metadata(model, f"{architecture}.attention.{name}_length") for name in ("key", "value")]
    per_head = sum(int(length) if length.isdigit() else width // heads for length in lengths)
    return ModelShape(
        weights_bytes=weights_bytes,
        layers=llama_cpp.llama_model_n_layer(model),
        key_value_width=per_head * llama_cpp.llama_model_n_head_kv(model),
        embedding_width=width,
        vocabulary=vocabulary,
        driver_bytes=0 if llama_backend.device() is None else GPU_DRIVER_BYTES,
    )


def _metadata(model: Any, key: str) -> str:
    buffer = ctypes.create_string_buffer(128)
    length = llama_cpp.llama_model_meta_val_str(model, key.encode(), buffer, len(buffer))
    return buffer.value.decode(errors="replace") if length >= 0 else ""
