"""Who may start programs, who may open the network, and what the native wheel's module may need."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
PACKAGE = REPOSITORY / "airgap_bundle"
CLIENTS = {"httpx", "httpcore", "requests", "urllib3", "http", "socket", "aiohttp"}
STARTERS = {"subprocess", "pty", "multiprocessing"}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_one_module_of_the_package_starts_programs() -> None:
    starters = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if imported(path) & STARTERS}
    assert starters == {"build/process.py"}
    for path in PACKAGE.rglob("*.py"):
        assert "os.system" not in path.read_text()
        assert "os.exec" not in path.read_text()


def test_one_module_of_the_package_opens_the_network() -> None:
    for path in PACKAGE.rglob("*.py"):
        found = imported(path) & CLIENTS
        assert found == ({"httpx"} if path.relative_to(PACKAGE).as_posix() == "build/registry.py" else set()), path
        assert "urllib.request" not in path.read_text(), path


def test_the_native_wheel_module_needs_the_standard_library_only(tmp_path: Path) -> None:
    """A development environment is installed with its result, so nothing of that can be there before."""
    done = subprocess.run(
        [
            sys.executable,
            "-S",
            "-m",
            "airgap_bundle.build.native_wheel",
            "--out",
            str(tmp_path / "out"),
            "--lock",
            "no",
        ],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "SOVEREIGN_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: no: no lock")
