"""Who may enter a lab host: one generated key pair, and host keys that the administrator's side knows beforehand."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CONFIG = """\
User root
IdentityFile {folder}/id
IdentitiesOnly yes
UserKnownHostsFile {folder}/known_hosts
StrictHostKeyChecking yes
BatchMode yes
ConnectTimeout 10
LogLevel ERROR
"""


@dataclass(frozen=True)
class Access:
    """The keys in ``folder``."""

    folder: Path

    @property
    def key(self) -> Path:
        """The administrator's private key."""
        return self.folder / "id"

    @property
    def known_hosts(self) -> Path:
        """The hosts' public keys by address."""
        return self.folder / "known_hosts"

    @property
    def config(self) -> Path:
        """For `ssh -F`."""
        return self.folder / "config"

    def create(self) -> None:
        """Make the administrator's key where there is none."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.key.exists():
            _generate(self.key, "administrator of the lab")
            self.config.write_text(_CONFIG.format(folder=self.folder))

    def admit(self, root: Path, name: str, address: str) -> None:
        """Give the host in ``root`` a key of its own, let the administrator in, and note the host's key and name."""
        ssh = root / "etc/ssh"
        for old in ssh.glob("ssh_host_*"):  # the package's: every host of one base tree would have the same
            old.unlink()
        host_key = ssh / "ssh_host_ed25519_key"
        _generate(host_key, name)
        kind, public = host_key.with_suffix(".pub").read_text().split()[:2]
        self._note(name, address, f"{kind} {public}")
        theirs = root / "root/.ssh"
        theirs.mkdir(mode=0o700, exist_ok=True)
        shutil.copyfile(self.key.with_suffix(".pub"), theirs / "authorized_keys")

    def _note(self, name: str, address: str, key: str) -> None:
        """The key of the host at ``address`` in the place of the one that a former host there had."""
        lines = self.known_hosts.read_text().splitlines() if self.known_hosts.exists() else []
        others = [line for line in lines if line.split(" ", 1)[0] != address]
        self.known_hosts.write_text("".join(f"{line}\n" for line in (*others, f"{address} {key}")))
        entry = f"\nHost {name}\n  HostName {address}\n"
        if entry not in self.config.read_text():
            with self.config.open("a") as config:
                config.write(entry)


def _generate(path: Path, comment: str) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)], check=True)
