"""ggml's code for NVIDIA GPUs: loaded like the processor's, and made ready for one device before a model is there.

The device's context is made here, while the process may still open device files; what computes afterwards needs only
what is open already. CUDA's cache of compiled kernels is off: an engine writes no files.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import asdict, dataclass
from typing import Any

import llama_cpp

from appliance.engine import wheel_files
from appliance.engine.errors import BackendError

LIBRARY = "libggml-cuda.so"
_GPU = 1  # ggml-backend.h, enum ggml_backend_dev_type
_SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Device:
    """What an engine computes on beside its processor.

    ``memory_bytes`` is all that the device has, ``free_bytes`` what nobody used when this engine took it.
    """

    name: str
    memory_bytes: int
    free_bytes: int

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def start(number: int) -> Device:
    """Load the code and take the GPU ``number``. Raises ``BackendError`` where either is not there."""
    file = wheel_files.listed().get(LIBRARY)
    if file is None:
        hint = "install a release that is (docs/guides/engine-builds.md), or take `gpu` out of this model in site.yaml"
        raise BackendError("this release is built without code for GPUs", hint)
    path = wheel_files.require_listed(file)
    os.environ.update(CUDA_VISIBLE_DEVICES=str(number), CUDA_DEVICE_ORDER="PCI_BUS_ID", CUDA_CACHE_DISABLE="1")
    wheel_files.register(path)
    found = _devices()
    if len(found) != 1:
        hint = "`nvidia-smi -L` lists those that the host's driver runs; `gpu` in site.yaml is such a number"
        raise BackendError(f"the driver gives this engine no GPU {number}", hint)
    return found[0]


def _devices() -> list[Device]:
    """Every GPU that ggml sees; asking for its memory makes the device's context."""
    found = []
    for index in range(_call("ggml_backend_dev_count", ctypes.c_size_t)):
        device = ctypes.c_void_p(_call("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t(index)))
        if _call("ggml_backend_dev_type", ctypes.c_int, device) == _GPU:
            free, total = ctypes.c_size_t(), ctypes.c_size_t()
            _call("ggml_backend_dev_memory", None, device, ctypes.byref(free), ctypes.byref(total))
            name = _call("ggml_backend_dev_description", ctypes.c_char_p, device)
            found.append(Device(_printable(name), total.value, free.value))
    return found


def _call(name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(llama_cpp.llama_cpp._lib, name)  # noqa: SLF001 - the wrapper declares no such functions
    function.restype = result
    return function(*arguments)


def _printable(name: bytes | None) -> str:
    shown = (name or b"").decode(errors="replace")[:_SHOWN_CHARACTERS]
    return shown if shown.isprintable() else ascii(shown)
