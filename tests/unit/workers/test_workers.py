"""What `make test` promises of its workers, tried on tests of its own in a folder of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
PATIENCE_S = 60
CONFTEST = (
    "from tests import workers\ndef pytest_xdist_make_scheduler(config, log): return workers.ByUnit(config, log)\n"
)
BARE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p xdist.plugin -p no:cacheprovider"}
QUIET = "def test_{}(): pass\n"
LEFT_BEHIND = """
import os, subprocess, sys, time
def test_waits():
    program = "import subprocess; print(subprocess.Popen(['sleep', '1000'], stdout=2, start_new_session=True).pid)"
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    with open("pid.partial", "w") as file:
        file.write(done.stdout)
    os.rename("pid.partial", "pid")
    time.sleep(1000)
"""


def start(folder: Path, **files: str) -> subprocess.Popen[str]:
    """`python -m tests` on ``files``, with two workers, in a process group of its own."""
    for name, text in {"conftest": CONFTEST, **files}.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-m", "tests", "-q", f"--basetemp={folder}/made", str(folder)],
        cwd=folder,
        env={**os.environ, **BARE, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )


def outcome(folder: Path, **files: str) -> tuple[int, str]:
    with start(folder, **files) as running:
        said, _ = running.communicate(timeout=PATIENCE_S * 2)
    return running.returncode, said


def test_the_last_line_counts_and_a_failure_is_shown_whole(tmp_path: Path) -> None:
    fails = "import pytest\ndef test_fails():\n    print('said before')\n    seven = 3 + 4\n    assert seven == 8\n"
    code, said = outcome(tmp_path, test_a=fails, test_b=QUIET.format("b"))
    assert code == 1
    assert re.match(r"1 failed, 1 passed in ", said.splitlines()[-1]), said
    assert {"E       assert 7 == 8", "said before"} <= {*said.splitlines()}, said


def test_a_worker_that_dies_fails_its_test_and_hides_no_other(tmp_path: Path) -> None:
    dies = "".join(QUIET.format(n) for n in "ab") + "def test_dies(): import os; os._exit(0)\n"
    files = {"test_a": dies + "".join(QUIET.format(n) for n in "cdefgh"), "test_b": QUIET.format("b")}
    code, said = outcome(tmp_path, **files)
    assert code == 1
    assert re.match(r"1 failed, 9 passed in ", said.splitlines()[-1]), said
    assert "FAILED test_a.py::test_dies" in said


def test_all_workers_may_die_once_each(tmp_path: Path) -> None:
    dies = "def test_dies(): import os; os.abort()\n" + QUIET.format("after")
    code, said = outcome(tmp_path, test_a=dies, test_b=dies, test_c=QUIET.format("c"))
    assert code == 1
    assert re.match(r"2 failed, 3 passed in ", said.splitlines()[-1]), said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_running_when_it_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C reaches the whole group; SIGTERM, the first process alone."""
    with start(tmp_path, test_a=LEFT_BEHIND) as running:
        left = _left_behind(tmp_path / "pid", running)
        (os.killpg if number == signal.SIGINT else os.kill)(running.pid, number)
        said, _ = running.communicate(timeout=PATIENCE_S)
    assert running.returncode != 0, said
    assert not left.exists(), said


def _left_behind(file: Path, running: subprocess.Popen[str]) -> Path:
    """The process that the test began and nobody waits for, once it lives."""
    deadline = time.monotonic() + PATIENCE_S
    while not file.exists():
        if time.monotonic() > deadline:
            os.killpg(running.pid, signal.SIGKILL)
            pytest.fail("the test did not begin")
        time.sleep(0.05)
    found = Path("/proc", file.read_text().strip())
    assert found.exists()
    return found
