"""Programs that tests compile from their Go modules, kept in the user's cache by what they are made of."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "sources" / "go"
_HOME = Path.home()  # before any test moves it


def go_program() -> str:
    """The Go tool, from PATH or where its own archive unpacks. Fails the test that needs it where there is none."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if found is None:
        pytest.fail("this machine has no go: the program under test is compiled from its module (go 1.26 or newer)")
    return found


def build_go(name: str) -> Path:
    """The program of ``sources/go/NAME``, compiled once for its module lists, its sources and Go's own version."""
    go, folder = go_program(), SOURCES / name
    hasher = hashlib.sha256(subprocess.run([go, "version"], capture_output=True, check=True).stdout)
    for path in (folder / "go.mod", folder / "go.sum", *sorted(folder.glob("*.go"))):
        hasher.update(path.read_bytes())
    program = _HOME / ".cache" / "sovereign" / "tools" / f"{name}-{hasher.hexdigest()[:32]}"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        partial = program.with_suffix(f".{os.getpid()}")
        argv = [go, "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", str(partial), "."]
        environment = {**os.environ, "CGO_ENABLED": "0", "HOME": str(_HOME)}
        done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        partial.rename(program)
    return program
