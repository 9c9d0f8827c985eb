"""A library for ggml in the working directory is somebody's code: ggml's search runs it; an engine never searches."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from appliance.engine import llama_backend

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    llama_backend.is_one(), reason="NOT TESTED: this wheel links its CPU code, and ggml searches for none"
)
_MAPPED = """
from pathlib import Path
lines = Path("/proc/self/maps").read_text().splitlines()
print(sorted({line.split(maxsplit=5)[5] for line in lines if "ggml-cpu" in line}))
"""
SEARCHES = "import llama_cpp\nllama_cpp.llama_backend_init()" + _MAPPED
STARTS = "from appliance.engine import llama_backend\nllama_backend.start()" + _MAPPED


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A folder with a library that ggml's search takes for code of this processor, as good as the wheel's best."""
    best = next(path for path in llama_backend.libraries().values() if llama_backend._score(path) > 0)
    shutil.copy(best, tmp_path / "libggml-cpu-icelake.so")
    return tmp_path


def _mapped(program: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout.splitlines()[-1]


def test_a_library_in_the_working_directory_is_what_a_search_takes_and_an_engine_does_not(planted: Path) -> None:
    assert str(planted) in _mapped(SEARCHES, planted), "what is planted is worth taking"
    assert str(planted) not in _mapped(STARTS, planted)
