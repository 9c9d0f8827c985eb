"""A whole run looks a second time at few tests of services, names them, and at nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.second_look import MOST, may_look_again

ROOT = Path(__file__).parents[3]
SERVICE = "tests/integration/gateway/test_a.py::test_b"


@pytest.mark.parametrize(
    "failed",
    [
        [],
        [SERVICE, "tests/attacks/bundle/test_a.py::test_b"],
        ["tests/unit/audit/test_a.py::test_b"],
        ["tests/audit/test_chaos.py::test_b"],
        ["tests/e2e/one_host/test_01_one_host.py::test_b"],
        [f"{SERVICE}[{number}]" for number in range(MOST + 1)],
    ],
)
def test_nothing_but_a_few_tests_of_services_has_a_second_chance(failed: list[str]) -> None:
    assert not may_look_again(failed)


def test_a_few_tests_of_services_have_one() -> None:
    assert may_look_again([f"{SERVICE}[{number}]" for number in range(MOST)])


def project(folder: Path, kind: str, body: str) -> subprocess.CompletedProcess[str]:
    """What a whole run says in a project of one test beside one that passes; the test counts its runs in a file."""
    place = folder / "tests" / kind
    place.mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -q --import-mode=importlib\n")
    lines = (
        "import pathlib",
        "runs = pathlib.Path('runs')",
        "def test_it():",
        *("    " + one for one in body.split("; ")),
    )
    (place / "test_it.py").write_text("\n".join(lines))
    (place / "test_other.py").write_text("def test_other(): pass\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
    argv = [sys.executable, "-c", "import sys; from tests.__main__ import whole; sys.exit(whole('1'))"]
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120)


FIRST_FAILS = "past = len(runs.read_text()) if runs.exists() else 0; runs.write_text('x' * (past + 1)); assert past"
ALWAYS_FAILS = FIRST_FAILS.replace("assert past", "assert False")


def test_what_passes_alone_is_named_in_the_last_line(tmp_path: Path) -> None:
    done = project(tmp_path, "integration", FIRST_FAILS)
    assert (done.returncode, (tmp_path / "runs").read_text()) == (0, "xx")
    last = done.stdout.splitlines()[-1]
    assert "1 unsteady" in last
    assert "tests/integration/test_it.py::test_it" in last
    assert "1 failed, 1 passed" in done.stdout  # the first run's own words stay


def test_what_fails_twice_has_failed(tmp_path: Path) -> None:
    done = project(tmp_path, "integration", ALWAYS_FAILS)
    assert (done.returncode, (tmp_path / "runs").read_text()) == (1, "xx")


def test_an_attack_is_not_looked_at_again(tmp_path: Path) -> None:
    done = project(tmp_path, "attacks", FIRST_FAILS)
    assert (done.returncode, (tmp_path / "runs").read_text()) == (1, "x")
