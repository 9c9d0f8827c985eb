"""What the keeper does with what a dead supervisord left behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

LEADER = """
import subprocess, sys
from appliance.install.keeper import clear_session
stubborn = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
            "print('here', flush=True); time.sleep(600)"]
left = [subprocess.Popen(stubborn, stdout=subprocess.PIPE) for _ in range(2)]
elsewhere = subprocess.Popen(stubborn, stdout=subprocess.PIPE, start_new_session=True)
for one in (*left, elsewhere):
    one.stdout.readline()
clear_session(0.2)
print(*[one.poll() for one in left], elsewhere.poll())
elsewhere.kill()
"""
REPOSITORY = Path(__file__).parents[3]


def test_what_does_not_go_is_killed_and_nothing_outside_the_session() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEADER],
        cwd=REPOSITORY,
        start_new_session=True,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.split() == [str(-signal.SIGKILL), str(-signal.SIGKILL), "None"]


WAITS = """
import os, sys
from appliance.install.keeper import await_parent
pid = {"gone": int(sys.argv[1]), "stranger": 1 if os.getppid() != 1 else os.getpid()}[sys.argv[2]]
await_parent(pid)
print("returned")
"""


def waits_for(pid: int, which: str) -> str:
    """What a process of its own says that waits for a parent; it is killed where it still waits a minute later."""
    command = [sys.executable, "-c", WAITS, str(pid), which]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60).stdout


def test_a_parent_that_is_gone_already_is_not_waited_for() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert waits_for(ended.pid, "gone") == "returned\n"


def test_a_stranger_under_the_parents_number_is_not_waited_for() -> None:
    assert waits_for(0, "stranger") == "returned\n"


def says(output: IO[bytes], line: bytes) -> None:
    """That ``line`` comes next, within a minute."""
    ready, _, _ = select.select([output], [], [], 60)
    assert ready, f"a minute passed without {line!r}"
    assert output.readline() == line


def test_the_end_of_the_parent_is_noticed() -> None:
    waits = "import os, sys; from appliance.install.keeper import await_parent; print('here', flush=True);"
    program = f"{waits} await_parent(int(sys.argv[1])); print('gone', flush=True)"
    starts = (
        f"import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', {program!r}, str(os.getpid())]).wait()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", starts], cwd=REPOSITORY, stdout=subprocess.PIPE, start_new_session=True
    )
    assert parent.stdout is not None
    try:
        says(parent.stdout, b"here\n")
        time.sleep(0.05)  # so that it is most likely in the middle of waiting
        parent.kill()
        says(parent.stdout, b"gone\n")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)  # the child that still waits, where it was not told
        parent.wait()
        parent.stdout.close()
