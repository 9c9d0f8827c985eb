"""What the kernel says about a process (proc_pid_stat(5), proc_pid_status(5)); nothing where it is gone."""

from __future__ import annotations

import os
import time
from pathlib import Path

_KIB = 1024


def resident(pid: int | None) -> int | None:
    """Bytes of memory that the process holds."""
    for line in _proc(pid, "status").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * _KIB
    return None


def uptime(pid: int | None) -> float | None:
    """Seconds since it started."""
    stat = _proc(pid, "stat")
    if not stat:
        return None
    started = int(stat.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")  # field 22
    return round(time.clock_gettime(time.CLOCK_BOOTTIME) - started, 1)


def _proc(pid: int | None, name: str) -> str:
    if pid is None:
        return ""
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""
