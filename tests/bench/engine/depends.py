"""What a measurement depends on: kept ones are gone on with only where all of it is the same."""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import asdict
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.engine.contenders import Machine
    from tests.bench.engine.loads import Scale

ROOT = Path(__file__).parents[3]
FOLDERS = ("appliance/engine", "sources/native", "tests/bench/engine")
FILES = (
    *("appliance/site/gpu.py", "appliance/site/processor.py", "appliance/site/served.py"),
    *("tests/engine/asking.py", "tests/engine/confined.py", "tests/engine/llama_server_build.py"),
    *("tests/engine/oracle.py", "tests/engine/processor.py", "tests/engine/questions.py"),
    *("tests/engine/questions.txt", "tests/engine/served.py", "tests/engine/widened.py"),
)
JUDGING = frozenset({"__main__.py", "claims.py", "plots.py"})
"""Of the benchmark's own folder: what only judges and shows. A bound that changed measures nothing otherwise."""


def about(machine: Machine, scale: Scale) -> dict[str, Any]:
    """All of it, as JSON: sources, model, llama.cpp of both contenders, processor, threads, and how much is asked.

    How many rounds is no part of it: more of them go on from those there are.
    """
    with machine.model.open("rb") as file:
        model = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "sources": sources(ROOT),
        "model": model,
        "wheel": hashlib.sha256((distribution("llama-cpp-python").read_text("RECORD") or "").encode()).hexdigest(),
        "llama-server": machine.server.folder.name,
        "processor": _processor(),
        "processors": os.cpu_count(),
        "threads": machine.threads,
        "python": platform.python_version(),
        "scale": {name: value for name, value in asdict(scale).items() if name != "rounds"},
    }


def sources(root: Path) -> str:
    """The digest of every file that decides what is measured."""
    digest = hashlib.sha256()
    for path in _files(root):
        digest.update(f"{path.relative_to(root)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _files(root: Path) -> Iterator[Path]:
    for folder in FOLDERS:
        own = folder == "tests/bench/engine"
        found = (path for path in sorted((root / folder).rglob("*")) if path.suffix in {".py", ".cmake"})
        yield from (path for path in found if not (own and path.name in JUDGING))
    yield from (root / name for name in FILES)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
