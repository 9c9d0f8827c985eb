"""A process that outlives whoever started it: its pid and when it began, since a pid alone is soon another's."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_STATE, _STARTTIME = 0, 19  # fields of /proc/PID/stat after the name (proc(5): 3 and 22)


@dataclass(frozen=True)
class Process:
    """``began`` is in clock ticks since the machine booted."""

    pid: int
    began: int

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has ``pid`` now. Raises ``ProcessLookupError`` when there is none."""
        return cls(pid, int(_stat(pid)[_STARTTIME]))

    @property
    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        try:
            fields = _stat(self.pid)
        except ProcessLookupError:
            return False
        return int(fields[_STARTTIME]) == self.began and fields[_STATE] != "Z"

    @property
    def children(self) -> tuple[int, ...]:
        """Pids of its children, oldest first; none when it is gone."""
        if not self.alive:
            return ()
        with suppress(OSError):
            return tuple(int(p) for p in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split())
        return ()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to exactly this process; nothing when it is gone."""
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(self.pid)
            try:
                if self.alive:  # asked while the handle holds the pid, so that it cannot be another's
                    signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; whether it came in time."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.alive:
                return True
            ended, _, _ = select.select([handle], [], [], seconds)
            return bool(ended)
        finally:
            os.close(handle)

    def reap(self) -> None:
        """Let the kernel forget it once it has ended, in case it was this very program that started it."""
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError) as error:
        raise ProcessLookupError(f"no process {pid}") from error
    return text[text.rindex(")") + 2 :].split()  # the name may hold blanks and brackets
