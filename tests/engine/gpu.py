"""Whether tests can compute on a GPU here: a wheel with code for it, and a driver that runs one."""

from __future__ import annotations

import os

from appliance.engine import llama_backend, llama_gpu, wheel_files
from appliance.engine.memory import GPU_DRIVER_BYTES, MIB
from appliance.site.gpu import gpus

NAMED = "SOVEREIGN_TEST_GPU"
"""Environment: the number of the GPU that this process's models are computed on, for tests that do not choose."""


def lacking() -> str:
    """Why nothing here computes on a GPU; empty where something can."""
    if llama_gpu.LIBRARY not in wheel_files.listed():
        return "the wheel is built without code for GPUs"
    return "" if gpus() else "no GPU with a driver here"


def chosen() -> int | None:
    """What the environment names."""
    named = os.environ.get(NAMED)
    return None if named is None else int(named)


def room(mib: int) -> int:
    """The memory budget of a context that has ``mib`` on the processor: with a GPU, its libraries' too."""
    return mib if chosen() is None else mib + GPU_DRIVER_BYTES // MIB


def start_as_chosen() -> None:
    """Have this process compute where the environment says, before anything else asks for llama.cpp."""
    if (number := chosen()) is not None:
        llama_backend.start(gpu=number)
