"""A process is known by more than its pid, and only it is ever killed."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lab.process import Process

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as child:
        yield child
        child.kill()


def test_a_running_process_is_alive_until_it_is_killed(sleeper: subprocess.Popen[bytes]) -> None:
    process = Process.of(sleeper.pid)
    assert process.alive
    assert not process.wait(0)
    process.kill()
    assert process.wait(10)
    assert not process.alive


def test_a_zombie_is_not_alive(sleeper: subprocess.Popen[bytes]) -> None:
    process = Process.of(sleeper.pid)
    process.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert (process.alive, process.children) == (False, ())


def test_another_process_with_the_same_pid_is_neither_alive_nor_killed(sleeper: subprocess.Popen[bytes]) -> None:
    earlier = replace(Process.of(sleeper.pid), began=1)
    assert not earlier.alive
    earlier.kill()
    assert earlier.wait(0)
    assert sleeper.poll() is None
    assert Process.of(sleeper.pid).alive


def test_children_are_listed(sleeper: subprocess.Popen[bytes]) -> None:
    assert sleeper.pid in Process.of(os.getpid()).children


def test_a_process_that_never_was_cannot_be_named() -> None:
    with pytest.raises(ProcessLookupError):
        Process.of(2**22 + 1)
