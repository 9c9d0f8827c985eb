"""A real registry: distribution, compiled from its Go module, run on a free port of loopback."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCES = Path(__file__).parents[3] / "sources" / "go" / "distribution"
_HOME = Path.home()  # before any test moves it
_LISTENING = re.compile(r"listening on (127\.0\.0\.1:[0-9]+)")


def go_program() -> str:
    """The Go tool, from PATH or where its own archive unpacks. Fails the test that needs it where there is none."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if found is None:
        pytest.fail("this machine has no go: the registry under test is compiled from its module (go 1.26 or newer)")
    return found


def build_registry() -> Path:
    """The compiled registry, in the user's cache by what it is made of: module lists, main and Go's own version."""
    go = go_program()
    hasher = hashlib.sha256(subprocess.run([go, "version"], capture_output=True, check=True).stdout)
    for name in ("go.mod", "go.sum", "main.go"):
        hasher.update((SOURCES / name).read_bytes())
    program = _HOME / ".cache" / "sovereign" / "tools" / f"distribution-{hasher.hexdigest()[:32]}"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        partial = program.with_suffix(f".{os.getpid()}")
        argv = [go, "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", str(partial), "."]
        environment = {**os.environ, "CGO_ENABLED": "0", "HOME": str(_HOME)}
        done = subprocess.run(argv, cwd=SOURCES, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        partial.rename(program)
    return program


@contextmanager
def running_registry(folder: Path, auth: dict[str, Any] | None = None) -> Iterator[str]:
    """A registry that stores below ``folder``; the value is its `HOST:PORT`."""
    config = {
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}, "delete": {"enabled": True}},
        "http": {"addr": "127.0.0.1:0"},
        **({"auth": auth} if auth else {}),
    }
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump(config))
    with subprocess.Popen(
        [build_registry(), "serve", path],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
        text=True,
    ) as process:
        try:
            yield _address(process)
        finally:
            process.terminate()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if match := _LISTENING.search(line):
            threading.Thread(target=process.stderr.read, daemon=True).start()  # or its log would fill the pipe
            return match[1]
    pytest.fail("the registry did not start: " + "".join(said))
