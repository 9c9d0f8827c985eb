"""`python -m tests [--workers N] [PYTEST ARGUMENT …]`: pytest by workers; nothing that tests started outlives it.

pytest's last line counts, and its exit code is ours. In a whole run, a few tests of services that failed are run again,
alone: those that pass then are named as unsteady in the last line. However it ends, by Ctrl-C and in a crash too, every
process that still descends from it is ended: first politely, after `PATIENCE_S` for good.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests import second_look

PATIENCE_S = 10
_SET_CHILD_SUBREAPER = 36  # prctl(2): whoever loses its parent becomes a child of this process


def _children() -> list[int]:
    listed = [task / "children" for task in Path("/proc/self/task").iterdir()]
    return [int(pid) for file in listed for pid in file.read_text().split()]


def _reap(*, wait: bool) -> tuple[int, int]:
    """Pid and wait status of a child that ended; pid 0 when there is none (yet)."""
    try:
        return os.waitpid(-1, 0 if wait else os.WNOHANG)
    except ChildProcessError:
        return 0, 0


def run(argv: list[str]) -> int:
    """Exit code of ``argv``; what descends from it and loses its parent is reaped here, as init would."""
    ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    started = subprocess.Popen(argv)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches pytest itself, which then ends in its own way
    signal.signal(signal.SIGTERM, lambda *_: started.terminate())
    while True:
        pid, status = _reap(wait=True)
        if pid == started.pid:
            return os.waitstatus_to_exitcode(status)


def end_the_rest() -> None:
    """Return when no process descends from this one."""
    deadline = time.monotonic() + PATIENCE_S
    number = signal.SIGTERM
    told: set[int] = set()
    while children := _children():
        if time.monotonic() > deadline:
            number, told = signal.SIGKILL, set()
        for pid in {*children} - told:
            os.kill(pid, number)  # ours until it is reaped below
            told.add(pid)
        while _reap(wait=False)[0]:
            pass
        time.sleep(0.05)


def whole(workers: str) -> int:
    """Exit code of all tests, after a second look where that is allowed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "failed.json"
        code = run(_pytest("-n", workers, "-p", "tests.second_look", "--failures", str(file)))
        failed = second_look.read(file)
    if code != pytest.ExitCode.TESTS_FAILED or not second_look.may_look_again(failed):
        return code
    end_the_rest()
    sys.stdout.write(f"\na second look at {len(failed)}, alone:\n")
    sys.stdout.flush()
    code = run(_pytest(*failed))
    if code == pytest.ExitCode.OK:
        sys.stdout.write(f"{len(failed)} unsteady, failed beside others and passed alone: {', '.join(failed)}\n")
    return code


def _pytest(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", *arguments]


def main() -> int:
    """Run pytest, end the rest."""
    parser = argparse.ArgumentParser(prog="python -m tests", description=__doc__)
    parser.add_argument("--workers", default="2", help="how many processes run tests")
    given, more = parser.parse_known_args()
    code = run(_pytest("-n", given.workers, *more)) if more else whole(given.workers)
    end_the_rest()
    return code


if __name__ == "__main__":
    sys.exit(main())
