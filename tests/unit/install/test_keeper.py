"""What the keeper does with what a dead supervisord left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from appliance.install import keeper

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


def test_a_parent_that_is_gone_already_is_not_waited_for() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    keeper.await_parent(ended.pid)  # returns


def test_a_stranger_under_the_parents_number_is_not_waited_for() -> None:
    keeper.await_parent(1 if os.getppid() != 1 else os.getpid())  # returns


def test_the_end_of_the_parent_is_noticed() -> None:
    waits = "import os, sys; from appliance.install.keeper import await_parent; print('here', flush=True);"
    program = f"{waits} await_parent(int(sys.argv[1])); print('gone', flush=True)"
    starts = (
        f"import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', {program!r}, str(os.getpid())]).wait()"
    )
    with subprocess.Popen([sys.executable, "-c", starts], cwd=REPOSITORY, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"here\n"
        time.sleep(0.05)
        parent.kill()
        assert parent.stdout.readline() == b"gone\n"
