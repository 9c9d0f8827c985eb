"""Sealing to this machine with systemd-creds(1): its TPM where there is one, else systemd's host key."""

from __future__ import annotations

from pathlib import Path

from appliance.errors import DeploymentError
from appliance.install.process import run

SYSTEMD_RUNS = Path("/run/systemd/system")
"""sd_booted(3): this folder exists exactly where systemd is the service manager."""
_TOOL = "systemd-creds"


class SystemdCreds:
    """Implements ``appliance.site.site_key.Sealer``. Values go over stdin and stdout, never argv."""

    def works(self) -> bool:
        """Whether systemd runs here and a sealed value opens again."""
        if not SYSTEMD_RUNS.is_dir():
            return False
        try:
            return self.unseal("probe", self.seal("probe", b"sealed")) == b"sealed"
        except DeploymentError:
            return False

    def seal(self, name: str, value: bytes) -> bytes:
        """``value`` sealed to this machine under ``name``."""
        return run([_TOOL, "encrypt", f"--name={name}", "-", "-"], stdin=value)

    def unseal(self, name: str, sealed: bytes) -> bytes:
        """What was sealed. Raises ``DeploymentError`` elsewhere than on this machine."""
        return run([_TOOL, "decrypt", f"--name={name}", "-", "-"], stdin=sealed)
