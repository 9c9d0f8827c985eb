"""The recovery key: what a backup is sealed to, and what alone opens it. Its private half never lies on the site.

HPKE (RFC 9180) in base mode with the hybrid KEM MLKEM768-X25519, HKDF-SHA256 and AES-256-GCM wraps one fresh key for
each sealed file, so that what is carried off today is not read by a quantum computer later. The private half lies in a
file under a passphrase (scrypt), the public one in a file beside it that anybody may have: it can write backups only.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from airgap_bundle import durable
from appliance.errors import DeploymentError, RefusedError, UsageError
from appliance.site.secrets import seal, unseal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_KIND = "MLKEM768-X25519"
FOLDER = "recovery"
"""Of the site's policies: public halves that backups by a timer are sealed to."""
_LABEL = "recovery"
_INFO = b"sovereign backup v1 "
_COSTS = {"n": 2**17, "r": 8, "p": 1}
_MOST_MEMORY = 2**30
_MAX_BYTES = 16_384
_SEED_BYTES, _X25519_BYTES, _MLKEM_BYTES = 64, 32, 1184


@dataclass(frozen=True)
class Recipient:
    """The public half: whom backups are sealed to."""

    mlkem: bytes
    x25519: bytes

    @property
    def fingerprint(self) -> str:
        """``sha256:…`` over both public keys; what a person compares."""
        return "sha256:" + hashlib.sha256(self.mlkem + self.x25519).hexdigest()

    def wrap(self, key: bytes, bound: bytes) -> bytes:
        """``key`` for this recipient, to be opened together with ``bound`` only."""
        public = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(self.mlkem), X25519PublicKey.from_public_bytes(self.x25519)
        )
        return _SUITE.encrypt(key, public, info=_INFO + bound)


class RecoveryKey:
    """The private half, opened."""

    def __init__(self, seed: bytes, x25519: bytes) -> None:
        self._mlkem = MLKEM768PrivateKey.from_seed_bytes(seed)
        self._x25519 = X25519PrivateKey.from_private_bytes(x25519)
        self.recipient = Recipient(
            self._mlkem.public_key().public_bytes_raw(), self._x25519.public_key().public_bytes_raw()
        )

    def unwrap(self, wrapped: bytes, bound: bytes) -> bytes:
        """What ``Recipient.wrap`` wrapped. Raises ``RefusedError`` when it was not for this key, or bound otherwise."""
        try:
            return _SUITE.decrypt(wrapped, MLKEM768X25519PrivateKey(self._mlkem, self._x25519), info=_INFO + bound)
        except (InvalidTag, ValueError) as error:
            raise RefusedError(
                "a key of the backup does not open", "the backup was changed; use another one"
            ) from error


def make_recovery_key(out: Path, passphrase: Callable[[], bytes]) -> Recipient:
    """Write a new key to ``out`` (0600, under the passphrase) and its public half beside it, as ``out`` with ``.pub``.

    Raises ``UsageError`` where either file exists or cannot be written; neither is left behind then.
    """
    if not out.name or out.is_dir():
        raise UsageError(f"{out} is a folder", "name a new file in it")
    public = out.with_name(f"{out.name}.pub")
    for path in (out, public):
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path} exists", "name a new file")
    seed, x25519 = os.urandom(_SEED_BYTES), os.urandom(_X25519_BYTES)
    recipient, salt = RecoveryKey(seed, x25519).recipient, os.urandom(16)
    sealed = json.loads(seal(_derive(passphrase(), salt, _COSTS), _LABEL, seed + x25519))
    described = {**_public(recipient), "scrypt": {**_COSTS, "salt": _text(salt)}, "private": sealed}
    try:
        durable.write_new(out, _encoded(described), 0o600)
        durable.write_new(public, _encoded(_public(recipient)), 0o644)
    except OSError as error:
        durable.discard(out)
        raise UsageError(f"{out} cannot be written: {error.strerror}", "name a new file with room") from error
    return recipient


def load_recipient(path: Path) -> Recipient:
    """The public half in ``path``. Raises ``UsageError`` when it holds none, or the private half as well."""
    return parse_recipient(_bytes(path), path)


def parse_recipient(data: bytes, path: Path) -> Recipient:
    """As ``load_recipient``, of ``data`` from ``path``."""
    fields = _fields(data, path)
    if "private" in fields:
        raise UsageError(
            f"{path} is a private recovery key", f"give {path.name}.pub, and take this file off this machine"
        )
    return _recipient(fields, path)


def _recipient(fields: dict[str, Any], path: Path) -> Recipient:
    try:
        mlkem, x25519 = (base64.b64decode(fields[name], validate=True) for name in ("mlkem768", "x25519"))
        recipient = Recipient(mlkem, x25519)
        recipient.wrap(bytes(32), b"")  # a public key that is none is met here, and not in the middle of a backup
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} is no recovery key", "make one with `sovereign backup key`") from error
    return recipient


def open_recovery_key(path: Path, passphrase: Callable[[], bytes]) -> RecoveryKey:
    """The private half in ``path``. Raises ``UsageError`` when it holds none, or for a wrong passphrase."""
    fields = _fields(_bytes(path), path)
    try:
        costs = {name: int(str(fields["scrypt"][name])) for name in _COSTS}
        salt, sealed = base64.b64decode(fields["scrypt"]["salt"], validate=True), json.dumps(fields["private"]).encode()
        affordable = 0 < 128 * costs["n"] * costs["r"] * costs["p"] <= _MOST_MEMORY and costs["n"].bit_count() == 1
    except (KeyError, TypeError, ValueError) as error:
        hint = "give the private file: the one whose name does not end in .pub"
        raise UsageError(f"{path} holds no private recovery key", hint) from error
    if not affordable:
        raise UsageError(f"{path} asks for more memory than any key needs, or none", "use an undamaged copy of it")
    derived = _derive(passphrase(), salt, costs)
    try:
        private = unseal(derived, _LABEL, sealed)
    except DeploymentError as error:
        raise UsageError(f"the passphrase does not open {path}", "type it again; nothing was changed") from error
    key = RecoveryKey(private[:_SEED_BYTES], private[_SEED_BYTES:])
    if key.recipient != _recipient(fields, path):
        raise UsageError(f"{path} names another public key than its private one", "use an undamaged copy of it")
    return key


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {(error.strerror or '').lower()}") from error


def _fields(data: bytes, path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(data) if len(data) <= _MAX_BYTES else None
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or fields.get("kind") != _KIND:
        raise UsageError(f"{path} is no recovery key", "make one with `sovereign backup key`")
    return fields


def _public(recipient: Recipient) -> dict[str, Any]:
    return {
        "schema": 1,
        "kind": _KIND,
        "fingerprint": recipient.fingerprint,
        "mlkem768": _text(recipient.mlkem),
        "x25519": _text(recipient.x25519),
    }


def _encoded(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, indent=1).encode() + b"\n"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _derive(passphrase: bytes, salt: bytes, costs: dict[str, int]) -> bytes:
    return Scrypt(salt=salt, length=32, **costs).derive(passphrase)
