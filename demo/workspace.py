"""Where the demonstration keeps its things, and how it calls the `sovereign` command."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
SOVEREIGN = Path(sys.executable).with_name("sovereign")


@dataclass(frozen=True)
class Workspace:
    """Files of one demonstration below ``root``; its services listen on ``port`` and the four after it."""

    root: Path
    port: int = 8080

    @property
    def bundle(self) -> Path:
        """The signed bundle, as it would travel."""
        return self.root / "bundle"

    @property
    def keys(self) -> Path:
        """Key files of signers, release and officer."""
        return self.root / "keys"

    @property
    def site_yaml(self) -> Path:
        """The site file that the operator wrote."""
        return self.root / "site.yaml"

    @property
    def url(self) -> str:
        """Where people open the assistant."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def issuer(self) -> str:
        """Where they sign in."""
        return f"http://127.0.0.1:{self.port + 1}/realms/sovereign"

    @property
    def facts(self) -> Path:
        """What a script needs to use the running demonstration (0600)."""
        return self.root / "demo.json"

    @property
    def site(self) -> Path:
        """Site root: here, unless service users could not reach it (a home folder closed to others)."""
        here = self.root / "site"
        closed = [p for p in here.parents if p.exists() and not p.stat().st_mode & stat.S_IXOTH]
        if os.geteuid() == 0 and closed:
            return Path("/var/lib", "sovereign-demo-" + hashlib.sha256(os.fsencode(self.root)).hexdigest()[:8])
        return here

    def write_private(self, path: Path, text: str) -> Path:
        """Write a file that only its owner can read."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(text)
        return path

    def passphrase_file(self, name: str) -> Path:
        """A fresh random passphrase of ``name``, once."""
        path = self.root / "passphrases" / name
        return path if path.exists() else self.write_private(path, secrets.token_urlsafe(24) + "\n")


def sovereign(*arguments: str | Path, passphrase: Path | None = None, check: bool = True) -> int:
    """Run the real command, its output on this terminal. Exits with its code when it fails and ``check`` holds."""
    argv = [str(SOVEREIGN), *map(str, arguments)]
    line = f"$ sovereign {' '.join(map(str, arguments))}"
    print(f"\n\033[1m{line}\033[0m" if _styled() else f"\n{line}", flush=True)
    if passphrase is None:
        code = subprocess.run(argv, check=False).returncode
    else:
        with passphrase.open("rb") as phrase:
            argv += ["--passphrase-fd", str(phrase.fileno())]
            code = subprocess.run(argv, check=False, pass_fds=[phrase.fileno()]).returncode
    if check and code != 0:
        sys.exit(code)
    return code


def sovereign_json(*arguments: str | Path) -> Any:
    """Run the command with ``--output json`` and return what it printed."""
    argv = [str(SOVEREIGN), *map(str, arguments), "--output", "json"]
    return json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout)


def _styled() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ
