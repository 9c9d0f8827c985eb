"""Processors that this machine is not, emulated by QEMU for one program.

Debian's `qemu-user-static` is unpacked in the user's cache, never installed; one that is installed is taken. It is what
apt's signed lists name (apt-secure(8)): which version emulates changes nothing of what is shown.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROGRAM = "qemu-x86_64-static"
_HOME = Path.home()  # before any test moves it
_DOWNLOAD_S = 300


@dataclass(frozen=True)
class Processor:
    """A model of a processor, by QEMU's name for it."""

    qemu: Path
    model: str

    def running(self, argv: list[str]) -> list[str]:
        """``argv`` on this processor."""
        program = shutil.which(argv[0]) or argv[0]
        return [str(self.qemu), "-cpu", self.model, program, *argv[1:]]


def qemu() -> Path:
    """The emulator. Raises ``OSError`` or ``subprocess.SubprocessError`` where it cannot be had."""
    if installed := shutil.which(PROGRAM):
        return Path(installed)
    tools = _HOME / ".cache" / "sovereign" / "tools"
    kept = tools / PROGRAM
    if not kept.exists():
        tools.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=tools) as name:
            folder = Path(name)
            _run(["apt-get", "download", "qemu-user-static"], folder)
            (package,) = folder.glob("qemu-user-static_*.deb")
            _run(["dpkg-deb", "--extract", package.name, "unpacked"], folder)
            unpacked = folder / "unpacked" / "usr" / "bin" / PROGRAM
            unpacked.replace(kept)
    return kept


def _run(argv: list[str], folder: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    subprocess.run(argv, cwd=folder, env=environment, check=True, capture_output=True, timeout=_DOWNLOAD_S)
