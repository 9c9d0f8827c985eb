"""Processor time that running processes have spent, threads included, from the kernel's scheduler."""

from __future__ import annotations

from pathlib import Path

_NANOSECONDS = 1e9


def spent(root: int, without: frozenset[int] = frozenset()) -> float:
    """Seconds of ``root`` and all that descend from it; ``without`` are processes that are passed over, with theirs.

    Threads and processes that have ended are not in it: take differences over a time in which none ends.
    ``/proc/PID/task/TID/schedstat``, first field (Linux: Documentation/scheduler/sched-stats.rst).
    """
    if root in without:
        return 0.0
    total = 0.0
    for thread in _threads(root):
        try:
            total += int((thread / "schedstat").read_text().split()[0]) / _NANOSECONDS
            children = (thread / "children").read_text().split()
        except OSError:  # it ended meanwhile
            continue
        total += sum(spent(int(child), without) for child in children)
    return total


def _threads(process: int) -> list[Path]:
    try:
        return list(Path("/proc", str(process), "task").iterdir())
    except OSError:
        return []
