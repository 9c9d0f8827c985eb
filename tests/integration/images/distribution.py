"""A real registry: distribution, compiled from its Go module, run on a free port of loopback."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.go_programs import build_go

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LISTENING = re.compile(r"listening on (127\.0\.0\.1:[0-9]+)")


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
        [build_go("distribution"), "serve", path],
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
