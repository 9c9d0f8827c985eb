"""The only module of the installer that starts programs.

Programs get an argv list, a stated environment (nothing is inherited), input on stdin and, where asked, another user.
They die with the installer: a killed installer leaves no half-finished program writing into the folder that its
successor cleans up.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TAIL_LINES = 3
_OVERFLOW_ID = 65534  # nobody and nogroup (/proc/sys/kernel/overflowuid)


@dataclass(frozen=True)
class Account:
    """The user and group that a program runs as."""

    uid: int
    gid: int


NOBODY = Account(_OVERFLOW_ID, _OVERFLOW_ID)


def run(  # noqa: PLR0913 - each is a property of the process, all by keyword
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    cwd: Path | None = None,
    account: Account | None = None,
    timeout_s: float = 600,
) -> bytes:
    """Run ``argv`` to its end; its stdout. Raises ``DeploymentError`` with the last lines it wrote when it fails."""
    switched = account if os.geteuid() == 0 else None
    try:
        done = subprocess.run(
            [*_tether(), *argv],
            input=stdin,
            env={"PATH": PATH, "LC_ALL": "C.UTF-8", **(env or {})},
            cwd=cwd or "/",
            capture_output=True,
            timeout=timeout_s,
            check=False,
            umask=0o022,
            user=switched.uid if switched else None,
            group=switched.gid if switched else None,
            extra_groups=[] if switched else None,
        )
    except subprocess.TimeoutExpired as error:
        raise DeploymentError(f"{Path(argv[0]).name} did not end within {timeout_s:.0f} s", "try again") from error
    except OSError as error:
        raise DeploymentError(f"{argv[0]} cannot be started: {error.strerror}") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()[-TAIL_LINES:]
        raise DeploymentError(
            f"{Path(argv[0]).name} failed with status {done.returncode}: {' / '.join(s.strip() for s in said)}"
        )
    return done.stdout


def succeeds(argv: Sequence[str], *, stdin: bytes = b"", account: Account | None = None, timeout_s: float = 30) -> bool:
    """Whether ``argv`` can be run, by another user where asked, and ends with status 0."""
    try:
        run(argv, stdin=stdin, account=account, timeout_s=timeout_s)
    except DeploymentError:
        return False
    return True


def stream(
    argv: Sequence[str],
    on_line: Callable[[str], None],
    *,
    env: Mapping[str, str],
    cwd: Path,
    timeout_s: float,
) -> int:
    """Run ``argv`` and hand over every line that it writes, to stdout or stderr, as it comes; its exit status.

    Raises ``DeploymentError`` when it cannot be started or does not end in time; it is then killed.
    """
    try:
        child = subprocess.Popen(
            [*_tether(), *argv],
            env={"PATH": PATH, "LC_ALL": "C.UTF-8", **env},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            umask=0o022,
        )
    except OSError as error:
        raise DeploymentError(f"{argv[0]} cannot be started: {error.strerror}") from error
    timer = threading.Timer(timeout_s, child.kill)
    timer.start()
    with child:
        assert child.stdout is not None
        for line in child.stdout:
            on_line(line)
    if timer.finished.is_set():
        raise DeploymentError(f"{Path(argv[0]).name} did not end within {timeout_s:.0f} s", "try again")
    timer.cancel()
    return child.returncode


def start_detached(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> int:
    """Start a program that outlives this one, in a session of its own; its pid. Its output goes to ``log``."""
    with log.open("ab") as out:
        child = subprocess.Popen(
            argv,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o022,
        )
    child.returncode = 0  # it is not ours to wait for: without this, Popen warns when collected
    return child.pid


def _tether() -> list[str]:
    """Have the kernel kill the program when the installer dies (prctl(2), PR_SET_PDEATHSIG)."""
    setpriv = shutil.which("setpriv", path=PATH)
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
