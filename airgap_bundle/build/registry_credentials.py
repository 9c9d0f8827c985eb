"""Credentials for image registries, from the files in which ordinary clients keep them; never from release.yaml.

Read, in this order, the first that names the registry: `$REGISTRY_AUTH_FILE`, `$XDG_RUNTIME_DIR/containers/auth.json`,
`~/.config/containers/auth.json`, `$DOCKER_CONFIG/config.json` (else `~/.docker/config.json`); containers-auth.json(5).
A more specific key (`HOST/NAMESPACE`) goes before `HOST`. Helper programs are not started.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airgap_bundle import strict_json
from airgap_bundle.errors import FormatError, RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_HINT = "log in again with your container client, or name another file in REGISTRY_AUTH_FILE"


@dataclass(frozen=True)
class Credentials:
    """A user's name and password at one registry; neither is ever printed."""

    user: str
    password: str = field(repr=False)


def auth_files(environment: Mapping[str, str], home: Path) -> tuple[Path, ...]:
    """The files in the order in which they are asked."""
    docker = environment.get("DOCKER_CONFIG")
    runtime = environment.get("XDG_RUNTIME_DIR")
    config = environment.get("XDG_CONFIG_HOME")
    named = environment.get("REGISTRY_AUTH_FILE")
    return (
        *([Path(named)] if named else []),
        *([Path(runtime) / "containers" / "auth.json"] if runtime else []),
        (Path(config) if config else home / ".config") / "containers" / "auth.json",
        (Path(docker) if docker else home / ".docker") / "config.json",
    )


def find_credentials(host: str, repository: str, files: tuple[Path, ...] | None = None) -> Credentials | None:
    """What this user's clients know for ``host``; None is an anonymous pull.

    Raises ``RegistryError`` for a file that cannot be read as one, or that leaves ``host`` to a helper program.
    """
    for path in auth_files(os.environ, Path.home()) if files is None else files:
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise RegistryError(f"{path}: {str(error.strerror).lower()}", _HINT) from error
        found = _in_file(path, data, host, repository)
        if found is not None:
            return found
    return None


def _in_file(path: Path, data: bytes, host: str, repository: str) -> Credentials | None:
    try:
        value = strict_json.load_object(data)
    except FormatError as error:
        raise RegistryError(f"{path}: {error.cause}", _HINT) from error
    entries, helpers = value.get("auths", {}), value.get("credHelpers", {})
    if not isinstance(entries, dict) or not isinstance(helpers, dict):
        raise RegistryError(f"{path}: auths or credHelpers is no object", _HINT)
    for key in _keys(host, repository):
        entry = entries.get(key)
        if isinstance(entry, dict) and entry.get("auth"):
            return _decoded(path, key, entry)
    if host in helpers:
        raise RegistryError(
            f"{path} leaves {host} to a credential helper, which is not started here",
            "log in with a client that writes the file itself, and name it in REGISTRY_AUTH_FILE",
        )
    return None


def _keys(host: str, repository: str) -> Iterator[str]:
    """`HOST/a/b`, `HOST/a`, `HOST`."""
    parts = [host, *repository.split("/")]
    while parts:
        yield "/".join(parts)
        parts.pop()


def _decoded(path: Path, key: str, entry: dict[str, Any]) -> Credentials:
    try:
        user, colon, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, TypeError, ValueError) as error:
        raise RegistryError(f"{path}: the entry for {key} cannot be read", _HINT) from error
    if not colon or not user:
        raise RegistryError(f"{path}: the entry for {key} holds no user and password", _HINT)
    return Credentials(user, password)
