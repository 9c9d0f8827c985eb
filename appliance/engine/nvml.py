"""A GPU's own energy counter, through its driver's management library (NVML), by the four calls that reading it takes.

The library is the driver's, found by its name on the host, as CUDA's is. It starts a thread, so that it is opened when
files and other processes are given up, and before the last filter is set. Counters begin when the driver was loaded,
on GPUs since Volta (NVML API, ``nvmlDeviceGetTotalEnergyConsumption``), move some ten times a second, and take
milliseconds to read: ``steady`` tells what they said.
"""

from __future__ import annotations

import ctypes
from typing import Any, Protocol

from appliance.engine.steady import Steady

_LIBRARY = "libnvidia-ml.so.1"
_DONE = 0
_MILLI = 1e-3


class Counters(Protocol):
    """Something that counts joules."""

    def joules(self) -> float | None:
        """Joules since some moment in the past; None where they cannot be read now."""


class GpuCounter:
    """The energy that one GPU drew since its driver was loaded. Not safe from several threads."""

    def __init__(self, library: Any, handle: ctypes.c_void_p) -> None:
        self._library, self._handle = library, handle

    def joules(self) -> float | None:
        """See ``Counters``."""
        drawn = ctypes.c_ulonglong()
        code = self._library.nvmlDeviceGetTotalEnergyConsumption(self._handle, ctypes.byref(drawn))
        return drawn.value * _MILLI if code == _DONE else None


class Together:
    """Several counters as one."""

    def __init__(self, *counters: Counters) -> None:
        self._counters = counters

    def joules(self) -> float | None:
        """See ``Counters``: the sum, or None where one cannot be read, since a part would mislead."""
        found = [counter.joules() for counter in self._counters]
        return None if None in found else sum(one for one in found if one is not None)


def open_counter(number: int, library: Any = None) -> GpuCounter | None:
    """The counter of the GPU ``number``, in the order of the bus; None where the driver or the GPU has none."""
    try:
        found = ctypes.CDLL(_LIBRARY) if library is None else library
        handle = ctypes.c_void_p()
        if found.nvmlInit_v2() != _DONE:
            return None
        if found.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(number), ctypes.byref(handle)) != _DONE:
            return None
    except (OSError, AttributeError):
        return None
    counter = GpuCounter(found, handle)
    return None if counter.joules() is None else counter


def beside(package: Counters | None, number: int) -> Counters | None:
    """The counter of the GPU ``number`` and the processor's, where the host shows one; None without the GPU's."""
    found = open_counter(number)
    if found is None:
        return None
    steady = Steady(found).start()
    return steady if package is None else Together(steady, package)
