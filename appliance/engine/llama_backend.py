"""Which of ggml's CPU libraries computes here: the best one that this processor can run, loaded by its own full path.

The wheel holds ggml's CPU code once for each level of x86-64, or for one level alone (``ONE``), which llama.cpp then
links and nobody chooses. Every one of these libraries judges a processor itself:
``ggml_backend_score`` is 0 where it asks for instructions that are not there, and grows with what it uses
(ggml-backend-impl.h). ggml's own search is never run, because it takes libraries from the program's folder and from the
working directory, whoever put them there; llama.cpp starts that search by itself where nothing is loaded yet, which is
why ``start`` comes before everything else that is asked of it.

No library is loaded whose bytes are not those that the wheel lists (``wheel_files``). One that is missing ends the
start, though a slower one lies beside it: what serves has to be what was delivered. Code for a GPU is loaded where
site.yaml names one (``llama_gpu``), and nowhere else, so that a model is never computed there by chance.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import llama_cpp

from appliance.engine import llama_gpu, wheel_files
from appliance.engine.errors import BackendError
from appliance.engine.llama_log import keep_log_quiet
from appliance.site.processor import VARIANTS, processor_flags, variant_for

if TYPE_CHECKING:
    from pathlib import Path

ONE = "haswell"
"""The level of a wheel that was built for one, with AVX2, FMA, F16C and BMI2; a release's is built for each."""
_LINKED = "libggml-cpu.so"
_loaded: list[str] = []
_devices: list[llama_gpu.Device] = []


def start(*, only: str | None = None, gpu: int | None = None) -> str:
    """Load the best library for this processor, once for the process, and make llama.cpp ready; the variant's name.

    ``only`` names the variant that is to be taken, for comparisons that need the same arithmetic on every processor;
    ``gpu`` the GPU that models are computed on (``device`` tells of it afterwards). Raises ``BackendError`` where a
    library is missing, is not the wheel's, none runs on this processor, or there is no such GPU.
    """
    if not _loaded:
        keep_log_quiet()
        if (linked := wheel_files.listed().get(_LINKED)) is not None:
            wheel_files.require_listed(linked)
            name = _only(only)
        else:
            name, path = _best(libraries(), only)
            wheel_files.register(path)
        if gpu is not None:
            _devices.append(llama_gpu.start(gpu))
        _loaded.append(name)
        llama_cpp.llama_backend_init()
    return _loaded[0]


def device() -> llama_gpu.Device | None:
    """The GPU that this process computes on; None: its processor does all."""
    return _devices[0] if _devices else None


def is_one() -> bool:
    """Whether the wheel was built for one level."""
    return _LINKED in wheel_files.listed()


def _only(wanted: str | None) -> str:
    if wanted not in {None, ONE}:
        raise BackendError(f"the wheel was built for {ONE} alone", "use the wheel that the release builds")
    flags = processor_flags()
    best = variant_for(flags)
    if flags and (best is None or VARIANTS.index(best) > VARIANTS.index(ONE)):
        raise BackendError(
            f"the wheel was built for {ONE} alone, and this processor runs {best or 'no variant'}",
            "use the wheel that the release builds",
        )
    return ONE


def libraries() -> dict[str, Path]:
    """Every variant's library, best first, each with the bytes that the wheel lists. Raises ``BackendError``."""
    listed, found = wheel_files.listed(), {}
    for variant in VARIANTS:
        name = f"libggml-cpu-{variant}.so"
        if (file := listed.get(name)) is None:
            raise BackendError(f"{wheel_files.WHEEL} was built without {name}", "use the wheel that the release builds")
        found[variant] = wheel_files.require_listed(file)
    return found


def _best(found: dict[str, Path], only: str | None) -> tuple[str, Path]:
    scores = {name: _score(path) for name, path in found.items() if only in {None, name}}
    name = max(scores, key=lambda one: scores[one])
    if scores[name] <= 0:
        needed = "SSE4.2 (x86-64-v2)" if only is None else f"what ggml's variant {only} uses"
        raise BackendError(f"this processor lacks {needed}", "serve the model on another host")
    return name, found[name]


def _score(path: Path) -> int:
    try:
        return int(ctypes.CDLL(str(path), mode=ctypes.RTLD_LOCAL).ggml_backend_score())
    except (OSError, AttributeError) as error:
        raise BackendError(f"{path.name} cannot be loaded", wheel_files.MEND) from error
