"""llama-server out of the wheel: the library and what it is linked with, each with the bytes that the wheel lists.

It is linked with the very libllama and libggml that llama-cpp-python loads, so the CPU code that ``llama_backend``
registers is what it computes with. The search for others, which llama.cpp makes whenever the server reads its
arguments, is not compiled into the wheel's (sources/native/llama-server.cmake).
"""

from __future__ import annotations

import ctypes

from appliance.engine import llama_backend, wheel_files
from appliance.engine.errors import BackendError

LIBRARY = "libllama-server-impl.so"
_LINKED = ("libggml-base.so", "libggml.so", "libllama.so", "libmtmd.so", "libllama-common.so")


def load() -> tuple[str, ctypes.CDLL]:
    """The variant of CPU code that computes, and the server. Raises ``BackendError`` where one is not the wheel's."""
    listed = wheel_files.listed()
    if LIBRARY not in listed:
        hint = (
            "install a release that is (docs/guides/engine-builds.md), or take `program` out of this model in site.yaml"
        )
        raise BackendError("this release is built without llama-server", hint)
    for name in _LINKED:
        if name not in listed:
            raise BackendError(f"{wheel_files.WHEEL} was built without {name}", "use the wheel that the release builds")
        wheel_files.require_listed(listed[name])
    path = wheel_files.require_listed(listed[LIBRARY])
    variant = llama_backend.start()
    return variant, ctypes.CDLL(str(path))
