"""Native libraries of the wheel, each with the bytes that the wheel's list gives it, by its own full path.

No library is loaded whose bytes are not those that the wheel lists: it is native code, and its first instruction runs
while it is loaded.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
from importlib import metadata
from pathlib import Path

import llama_cpp

from appliance.engine.errors import BackendError

WHEEL = "llama-cpp-python"
MEND = "install the release again: `sovereign install` puts back what it delivered"


def listed() -> dict[str, metadata.PackagePath]:
    """Files of the wheel by their last name, as its RECORD has them. Raises ``BackendError``."""
    try:
        return {file.name: file for file in metadata.files(WHEEL) or ()}
    except metadata.PackageNotFoundError as error:
        raise BackendError("the list of llama-cpp-python's files is missing", MEND) from error


def require_listed(file: metadata.PackagePath) -> Path:
    """Where ``file`` is, if it is what the list says of it. Raises ``BackendError``."""
    if file.hash is None:
        raise BackendError(f"the list of {WHEEL}'s files has no digest of {file.name}", MEND)
    path = Path(str(file.locate())).resolve()
    _require_bytes(path, file.hash.mode, file.hash.value)
    return path


def _require_bytes(path: Path, kind: str, wanted: str) -> None:
    """Raise ``BackendError`` unless ``path`` has the digest that RECORD gives it (PEP 376: base64 without padding)."""
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, kind).digest()
    except OSError as error:
        raise BackendError(f"{path.name} cannot be read: {(error.strerror or '').lower()}", MEND) from error
    if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != wanted:
        raise BackendError(f"{path.name} is not the file that the release delivered", MEND)


def register(path: Path) -> None:
    """Have ggml take the library at ``path``, by that path. Raises ``BackendError`` where it does not."""
    take = llama_cpp.llama_cpp._lib.ggml_backend_load  # noqa: SLF001 - the wrapper declares no such function
    take.restype, take.argtypes = ctypes.c_void_p, (ctypes.c_char_p,)
    if not take(bytes(path)):
        raise BackendError(f"ggml does not take its library {path.name}", MEND)
