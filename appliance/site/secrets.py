"""Secrets at rest: each sealed in an envelope of its own under the site key.

An envelope is JSON: a fresh data key encrypts the secret (AES-256-GCM), the site key wraps the data key. Both layers
authenticate the secret's name, so that one file cannot be put in another's place. Changing the site key's protection
rewrites one file; the envelopes stay.
"""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from airgap_bundle import durable
from appliance.errors import DeploymentError

if TYPE_CHECKING:
    from pathlib import Path

NONCE_BYTES = 12
KEY_BYTES = 32
SUFFIX = ".sealed"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*(/[a-z0-9][a-z0-9_.-]*)?")


def seal(key: bytes, name: str, value: bytes) -> bytes:
    """The envelope (JSON bytes) of ``value`` under ``key``, bound to ``name``."""
    data_key = AESGCM.generate_key(bit_length=8 * KEY_BYTES)
    envelope = {"schema": 1, "name": name, "key": _box(key, name, data_key), "value": _box(data_key, name, value)}
    return json.dumps(envelope, indent=1).encode() + b"\n"


def unseal(key: bytes, name: str, envelope: bytes) -> bytes:
    """The secret in ``envelope``. Raises ``DeploymentError`` when it is not ``name`` sealed under ``key``."""
    try:
        fields = json.loads(envelope)
        return _unbox(_unbox(key, name, fields["key"]), name, fields["value"])
    except (InvalidTag, ValueError, KeyError, TypeError) as error:
        raise DeploymentError(
            f"secret {name} does not open under this site key", "restore the secrets folder from a backup"
        ) from error


def _box(key: bytes, name: str, value: bytes) -> str:
    nonce = os.urandom(NONCE_BYTES)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, value, name.encode())).decode()


def _unbox(key: bytes, name: str, text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    return AESGCM(key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], name.encode())


@dataclass(frozen=True)
class SecretStore:
    """The sealed secrets in ``directory`` (0700), opened with the unwrapped site key."""

    directory: Path
    key: bytes

    def __repr__(self) -> str:
        return f"SecretStore({self.directory})"

    def names(self) -> tuple[str, ...]:
        """Names of every sealed secret, sorted."""
        found = (p.name.removesuffix(SUFFIX).replace("@", "/") for p in self.directory.glob(f"*{SUFFIX}"))
        return tuple(sorted(found))

    def get(self, name: str) -> bytes:
        """The secret. Raises ``DeploymentError`` when it is missing or does not open."""
        try:
            envelope = self._path(name).read_bytes()
        except OSError as error:
            raise DeploymentError(
                f"secret {name} cannot be read: {error.strerror}", "run `sovereign install`"
            ) from error
        return unseal(self.key, name, envelope)

    def put(self, name: str, value: bytes) -> None:
        """Seal ``value`` as ``name``, durably and at once: a crash leaves the old secret or the new one."""
        write_private(self._path(name), seal(self.key, name, value))

    def remove(self, name: str) -> None:
        """Let a secret go; one that is not there is no failure."""
        self._path(name).unlink(missing_ok=True)

    def has(self, name: str) -> bool:
        """Whether a secret of that name is sealed here (it is not opened)."""
        return self._path(name).is_file()

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a secret's name: {name!r}")
        return self.directory / (name.replace("/", "@") + SUFFIX)


def write_private(path: Path, data: bytes) -> None:
    """Write ``path`` (0600) through a synced file beside it and a rename, then sync its folder. Raises ``OSError``.

    The file beside it is always a new one, private before it holds anything. What lies there under its name, left by a
    crash or put there, is removed and never opened: as a link it would lead elsewhere, and whoever holds it open or
    owns it would read along.
    """
    part = path.with_name(path.name + durable.PARTIAL)
    part.unlink(missing_ok=True)
    durable.write_new(part, data, 0o600)
    try:
        part.replace(path)
    except OSError:
        durable.discard(part)
        raise
    durable.sync_directory(path.parent)
