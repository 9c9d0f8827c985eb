"""ML-DSA-44 signatures by the release's own library (sources/native/mldsa44): the one module here that leaves Python.

``cryptography`` keeps the keys and verifies; only signing is done here, because its OpenSSL has no code for AVX2 and a
signature is what an entry waits for longest but for the disk. The call lets other threads run.
"""

from __future__ import annotations

import ctypes
import importlib.util
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature

from appliance.audit.errors import AuditUnavailableError
from appliance.errors import DeploymentError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

PACKAGE = "sovereign_mldsa44"
LIBRARY = "libsovereign_mldsa44.so"
PUBLIC_BYTES, PRIVATE_BYTES, SIGNATURE_BYTES = 1312, 2560, 2420  # FIPS 204, table 2
_HINT = "run `sovereign install` with the release's bundle again; in a source tree, `make venv`"
_TRIAL = b"sovereign audit log: a signature that is verified before the first one counts"


class MLDSA44Signer:
    """Signs with one key, hedged and with an empty context (FIPS 204, algorithm 2); any number of threads may.

    The expanded key lies in memory that is overwritten when the signer is no longer used, so never under a signature.
    Like ``cryptography``'s own copy it may be swapped out: a host's swap is the site's to encrypt.
    """

    def __init__(self, key: MLDSA44PrivateKey, library: Path | None = None) -> None:
        """Expand ``key`` by the file ``library``, or the installed one.

        Raises ``DeploymentError`` when there is none, when it makes another public key of the seed than
        ``cryptography`` does, and when ``cryptography`` does not accept its signature.
        """
        path = library or installed_library()
        pair, self._sign = _functions(path)
        public, self._private = (ctypes.create_string_buffer(size) for size in (PUBLIC_BYTES, PRIVATE_BYTES))
        weakref.finalize(self, ctypes.memset, self._private, 0, PRIVATE_BYTES).atexit = False  # a thread may sign still
        if pair(public, self._private, key.private_bytes_raw()) != 0:
            raise DeploymentError(f"{path} makes no key", _HINT)
        if public.raw != key.public_key().public_bytes_raw():
            raise DeploymentError(f"{path} makes another public key of the log's seed than cryptography does", _HINT)
        try:
            key.public_key().verify(self.sign(_TRIAL), _TRIAL)
        except (AuditUnavailableError, InvalidSignature) as error:
            raise DeploymentError(f"{path} makes signatures that cryptography does not accept", _HINT) from error

    def sign(self, message: bytes) -> bytes:
        """A signature of ``message``. Raises ``AuditUnavailableError`` where none was made."""
        signature = ctypes.create_string_buffer(SIGNATURE_BYTES)
        if self._sign(signature, message, len(message), None, 0, self._private) != 0:
            raise AuditUnavailableError("the log's ML-DSA-44 signature was not made")
        return signature.raw

    def __repr__(self) -> str:
        return "MLDSA44Signer(…)"


def installed_library() -> Path:
    """Where this environment has the library. Raises ``DeploymentError`` when it has none."""
    found = importlib.util.find_spec(PACKAGE)
    folders = found.submodule_search_locations if found is not None else None
    path = next((Path(folder).resolve() / LIBRARY for folder in folders or ()), None)
    if path is None or not path.is_file():
        raise DeploymentError("this environment lacks the library that signs the log (sovereign-mldsa44)", _HINT)
    return path


def _functions(path: Path) -> tuple[ctypes._NamedFuncPointer, ctypes._NamedFuncPointer]:
    """The library's functions for a key pair and a signature; each returns 0 when it did what it is for."""
    try:
        loaded = ctypes.CDLL(str(path))
        pair, sign = loaded.sovereign_mldsa44_keypair, loaded.sovereign_mldsa44_sign
    except (OSError, AttributeError) as error:
        raise DeploymentError(f"{path} is not the library that signs the log: {error}", _HINT) from error
    text, count = ctypes.c_char_p, ctypes.c_size_t
    pair.argtypes = [text, text, text]  # public key, private key, seed
    sign.argtypes = [text, text, count, text, count, text]  # signature, message, context, private key
    pair.restype = sign.restype = ctypes.c_int
    return pair, sign
