"""Brings back a supervisord that was killed. supervisord runs the keeper, so each of the two restarts the other.

A keeper that dies is restarted like any program. When supervisord dies without having been told to (told, it stops
the keeper first), the keeper waits until nothing is left of what it ran, kills what does not go, and then
becomes `sovereign resume`, which starts a new supervisord with a new keeper. Two that are killed in the same instant
stay down until `sovereign up`.

What is left is supervisord's session: every process it started is in it, the keeper too. As long as one process is, the
kernel gives the session's number to no other process or session, so a stranger is never killed in its stead.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from pathlib import Path

from appliance.site.paths import SitePaths

KEEPER = "keeper"
PATIENCE_S = 65.0  # the longest that a service may take to stop, and a little
POLL_S = 0.1


def main() -> None:
    """Watch the supervisord that started this process; ``argv[1]`` is the site's root."""
    paths = SitePaths(Path(sys.argv[1]))
    await_parent(os.getsid(0))  # supervisord leads its session, so that its number is known even if it is gone already
    clear_session(PATIENCE_S)
    _become(paths)


def await_parent(pid: int) -> None:
    """Return when ``pid``, the parent of this process, is gone: at once if it went before it could be watched."""
    try:
        watched = os.pidfd_open(pid)
    except OSError:  # ESRCH; some kernels say EINVAL of a number that only a session still has
        return
    try:
        if os.getppid() == pid:
            poll = select.poll()
            poll.register(watched, select.POLLIN)
            poll.poll()
    finally:
        os.close(watched)


def clear_session(patience_s: float) -> None:
    """Wait until this process is the only one of its session; after ``patience_s`` seconds kill the others."""
    session = os.getsid(0)
    deadline = time.monotonic() + patience_s
    while others := _members(session) or _members(session):  # twice: one may fork and end while its line is read
        if time.monotonic() > deadline:
            for pid in others:
                _kill(pid, session)
        time.sleep(POLL_S)


def _members(session: int) -> list[int]:
    """Living processes of ``session`` other than this one."""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    return [pid for pid in pids if pid != os.getpid() and _session(pid) == session]


def _session(pid: int) -> int | None:
    """Session of a process; None when it is gone, or dead and only waits for its parent (proc_pid_stat(5))."""
    try:
        state, _parent, _group, session = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:4]
    except (OSError, ValueError):
        return None
    return None if state in {"Z", "X"} else int(session)


def _kill(pid: int, session: int) -> None:
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if _session(pid) == session:  # asked again now that the number cannot become another's under our hands
            signal.pidfd_send_signal(process, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(process)


def _become(paths: SitePaths) -> None:
    """Replace this process by `sovereign resume`; what it says goes to the log, since supervisord's pipe is broken."""
    log = os.open(paths.log(KEEPER), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o640)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    program = str(paths.env / "bin" / "sovereign")
    os.execv(program, [program, "--site", str(paths.root), "resume"])  # noqa: S606 - the site's own program, no shell


if __name__ == "__main__":
    main()
