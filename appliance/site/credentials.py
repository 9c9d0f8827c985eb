"""Secrets as a service receives them: one file each, in a directory that only its uid can read.

The convention is systemd's (systemd.exec(5), "Credentials"); elsewhere the supervisor hands over the same directory.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import DeploymentError


@dataclass(frozen=True)
class Credentials:
    """Reads secrets by name from ``directory``."""

    directory: Path

    @classmethod
    def from_environment(cls, fallback: Path) -> Credentials:
        """``$CREDENTIALS_DIRECTORY`` where the service manager sets it, else ``fallback``."""
        return cls(Path(os.environ.get("CREDENTIALS_DIRECTORY") or fallback))

    def read(self, name: str) -> bytes:
        """The secret's bytes. Raises ``DeploymentError`` when it was not handed over."""
        try:
            return (self.directory / name).read_bytes()
        except OSError as error:
            raise DeploymentError(
                f"credential {name} cannot be read: {error.strerror}", "run `sovereign up` as the site's owner"
            ) from error

    def text(self, name: str) -> str:
        """The secret as text without a trailing newline."""
        return self.read(name).decode().rstrip("\n")
