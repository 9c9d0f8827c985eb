"""Levels of x86-64 that an engine's code exists for, and which of them a processor can run by what the kernel shows.

The names are ggml's (ggml/src/CMakeLists.txt of llama.cpp), whose instruction sets they stand for. The engine itself
asks the libraries; this is the answer before there are any, and it knows one thing more: an instruction set that the
kernel has switched off is missing from ``/proc/cpuinfo`` though the processor reports it.

The least is x86-64-v2 (x86-64 psABI, "Micro-Architecture Levels"): numpy, which llama.cpp's wrapper needs, is compiled
for no less. ggml's code for less than that lies in the wheel too and is never taken.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_SSE42 = frozenset({"lm", "pni", "ssse3", "sse4_1", "sse4_2", "popcnt", "cx16", "lahf_lm"})  # x86-64-v2: numpy's, too
_HASWELL = _SSE42 | {"avx", "avx2", "fma", "f16c", "bmi2"}
_SKYLAKEX = _HASWELL | {"avx512f", "avx512cd", "avx512vl", "avx512dq", "avx512bw"}
_NEEDS = {
    "icelake": _SKYLAKEX | {"avx512vbmi", "avx512_vnni"},
    "skylakex": _SKYLAKEX,
    "haswell": _HASWELL,
    "sse42": _SSE42,
}
VARIANTS = tuple(_NEEDS)
"""Best first."""
QUICK = frozenset({"icelake", "skylakex", "haswell"})
"""Those with vectors of 256 bits and more; the others answer several times slower."""


def variant_for(flags: Collection[str]) -> str | None:
    """The best variant for a processor with ``flags``, as ``/proc/cpuinfo`` spells them; None: none runs there."""
    return next((name for name, needs in _NEEDS.items() if needs <= set(flags)), None)


@cache
def processor_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """What every processor of this host offers; empty where the kernel does not say.

    Read once: a process that has confined itself sees no more of ``/proc``.
    """
    try:
        lines = cpuinfo.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return frozenset()
    sets = [frozenset(line.partition(":")[2].split()) for line in lines if line.startswith("flags")]
    return frozenset.intersection(*sets) if sets else frozenset()
