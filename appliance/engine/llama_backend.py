"""Which of ggml's CPU libraries computes here: the best one that this processor can run, loaded by its own full path.

The wheel holds ggml's CPU code once for each level of x86-64, or for one level alone (``ONE``), which llama.cpp then
links and nobody chooses. Every one of these libraries judges a processor itself:
``ggml_backend_score`` is 0 where it asks for instructions that are not there, and grows with what it uses
(ggml-backend-impl.h). ggml's own search is never run, because it takes libraries from the program's folder and from the
working directory, whoever put them there; llama.cpp starts that search by itself where nothing is loaded yet, which is
why ``start`` comes before everything else that is asked of it.

No library is loaded whose bytes are not those that the wheel lists: it is native code, and its first instruction runs
while it is loaded. One that is missing ends the start, though a slower one lies beside it: what serves has to be what
was delivered.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
from importlib import metadata
from pathlib import Path

import llama_cpp

from appliance.engine.errors import BackendError
from appliance.engine.llama_log import keep_log_quiet
from appliance.site.processor import VARIANTS, processor_flags, variant_for

ONE = "haswell"
"""The level of a wheel that was built for one, with AVX2, FMA, F16C and BMI2; a release's is built for each."""
_WHEEL = "llama-cpp-python"
_LINKED = "libggml-cpu.so"
_MEND = "install the release again: `sovereign install` puts back what it delivered"
_loaded: list[str] = []


def start(*, only: str | None = None) -> str:
    """Load the best library for this processor, once for the process, and make llama.cpp ready; the variant's name.

    ``only`` names the variant that is to be taken, for comparisons that need the same arithmetic on every processor.
    Raises ``BackendError`` where a library is missing, is not the wheel's, or none runs on this processor.
    """
    if not _loaded:
        keep_log_quiet()
        if (linked := _listed().get(_LINKED)) is not None:
            _require_listed(linked)
            name = _only(only)
        else:
            name, path = _best(libraries(), only)
            _register(path)
        _loaded.append(name)
        llama_cpp.llama_backend_init()
    return _loaded[0]


def is_one() -> bool:
    """Whether the wheel was built for one level."""
    return _LINKED in _listed()


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


def _register(path: Path) -> None:
    register = llama_cpp.llama_cpp._lib.ggml_backend_load  # noqa: SLF001 - the wrapper declares no such function
    register.restype, register.argtypes = ctypes.c_void_p, (ctypes.c_char_p,)
    if not register(bytes(path)):
        raise BackendError(f"ggml does not take its library {path.name}", _MEND)


def libraries() -> dict[str, Path]:
    """Every variant's library, best first, each with the bytes that the wheel lists. Raises ``BackendError``."""
    listed, found = _listed(), {}
    for variant in VARIANTS:
        name = f"libggml-cpu-{variant}.so"
        if (file := listed.get(name)) is None:
            raise BackendError(f"{_WHEEL} was built without {name}", "use the wheel that the release builds")
        found[variant] = _require_listed(file)
    return found


def _listed() -> dict[str, metadata.PackagePath]:
    """Files of the wheel by their last name, as its RECORD has them."""
    try:
        return {file.name: file for file in metadata.files(_WHEEL) or ()}
    except metadata.PackageNotFoundError as error:
        raise BackendError("the list of llama-cpp-python's files is missing", _MEND) from error


def _require_listed(file: metadata.PackagePath) -> Path:
    """Where ``file`` is, if it is what the list says of it."""
    if file.hash is None:
        raise BackendError(f"the list of {_WHEEL}'s files has no digest of {file.name}", _MEND)
    path = Path(str(file.locate())).resolve()
    _require_bytes(path, file.hash.mode, file.hash.value)
    return path


def _require_bytes(path: Path, kind: str, listed: str) -> None:
    """Raise ``BackendError`` unless ``path`` has the digest that RECORD gives it (PEP 376: base64 without padding)."""
    try:
        digest = hashlib.new(kind, path.read_bytes()).digest()
    except OSError as error:
        raise BackendError(f"{path.name} cannot be read: {(error.strerror or '').lower()}", _MEND) from error
    if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != listed:
        raise BackendError(f"{path.name} is not the file that the release delivered", _MEND)


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
        raise BackendError(f"{path.name} cannot be loaded", _MEND) from error
