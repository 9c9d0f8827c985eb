"""The site key: 32 random bytes that wrap every secret, themselves protected in one of three ways.

- ``systemd-creds``: sealed by the service manager's host key or TPM (``Sealer``, which runs the tool, is handed in).
- ``passphrase``: wrapped under scrypt of what the operator types; nothing on the disk opens it.
- ``file``: a 0600 file beside the secrets. It keeps secrets out of copied folders, not from whoever holds the disk;
  ``status`` says so.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from appliance.errors import DeploymentError, UsageError
from appliance.site.secrets import KEY_BYTES, seal, unseal, write_private

if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal["systemd-creds", "passphrase", "file"]
Passphrase = Callable[[], bytes]
DESCRIPTION = "site-key.json"
_LABEL = "site-key"
_SCRYPT = {"n": 2**17, "r": 8, "p": 1}  # 128 MiB: the floor that OWASP's password storage cheat sheet gives


class Sealer(Protocol):
    """Seals bytes to this machine (systemd-creds)."""

    def works(self) -> bool:
        """Whether this host can seal and unseal."""

    def seal(self, name: str, value: bytes) -> bytes:
        """``value`` sealed under ``name``."""

    def unseal(self, name: str, sealed: bytes) -> bytes:
        """What was sealed. Raises ``DeploymentError`` when this machine cannot open it."""


def key_kind(directory: Path) -> Kind | None:
    """How the key in ``directory`` is protected; ``None`` when there is no key yet."""
    try:
        description = json.loads((directory / DESCRIPTION).read_bytes())
    except FileNotFoundError:
        return None
    kind: Kind = description["kind"]
    return kind


def choose_kind(wanted: str, sealer: Sealer) -> Kind:
    """The kind that site.yaml's ``site_key.kind`` means here. Raises ``DeploymentError`` when it cannot work."""
    if wanted == "auto":
        return "systemd-creds" if sealer.works() else "file"
    if wanted == "systemd-creds" and not sealer.works():
        raise DeploymentError(
            "site_key.kind: systemd-creds does not work on this host", "choose passphrase or file in site.yaml"
        )
    kind: Kind = wanted  # type: ignore[assignment]  # the schema admits no other value
    return kind


def create_key(directory: Path, kind: Kind, *, sealer: Sealer, passphrase: Passphrase) -> bytes:
    """Make the site's key and protect it. ``directory`` must exist (0700) and hold no key."""
    if key_kind(directory) is not None:
        raise DeploymentError("the site already has a key", "open it instead")
    key = AESGCM.generate_key(bit_length=8 * KEY_BYTES)
    description: dict[str, Any] = {"schema": 1, "kind": kind}
    if kind == "file":
        write_private(directory / "site.key", key)
    elif kind == "passphrase":
        salt = os.urandom(16)
        description |= {"scrypt": {**_SCRYPT, "salt": base64.b64encode(salt).decode()}}
        description["key"] = json.loads(seal(_derive(passphrase(), salt, _SCRYPT), _LABEL, key))
    else:
        write_private(directory / "site-key.cred", sealer.seal(_LABEL, key))
    write_private(directory / DESCRIPTION, json.dumps(description, indent=1).encode() + b"\n")
    return key


def open_key(directory: Path, *, sealer: Sealer, passphrase: Passphrase) -> bytes:
    """The site's key. ``passphrase`` is called only where the key needs one.

    Raises ``DeploymentError`` when there is no key or this machine cannot open it, ``UsageError`` for a wrong
    passphrase.
    """
    try:
        description = json.loads((directory / DESCRIPTION).read_bytes())
        if description["kind"] == "file":
            return _exact((directory / "site.key").read_bytes())
        if description["kind"] == "systemd-creds":
            return _exact(sealer.unseal(_LABEL, (directory / "site-key.cred").read_bytes()))
    except OSError as error:
        raise DeploymentError(
            f"the site key cannot be read: {error.strerror}", "run as the site's owner, after `sovereign install`"
        ) from error
    parameters = description["scrypt"]
    derived = _derive(passphrase(), base64.b64decode(parameters["salt"]), parameters)
    try:
        return _exact(unseal(derived, _LABEL, json.dumps(description["key"]).encode()))
    except DeploymentError as error:
        raise UsageError("the passphrase does not open the site key", "type it again; nothing was changed") from error


def _exact(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise DeploymentError(f"the site key holds {len(key)} bytes instead of {KEY_BYTES}", "restore it from a backup")
    return key


def _derive(passphrase: bytes, salt: bytes, parameters: dict[str, Any]) -> bytes:
    costs = {name: int(parameters[name]) for name in ("n", "r", "p")}
    return Scrypt(salt=salt, length=KEY_BYTES, **costs).derive(passphrase)
