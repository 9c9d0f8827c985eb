"""Counting the log beside a running writer: in one process of its own, at low priority, one report at a time.

What was counted lies in ``figures`` beside the log, under the root of its entries (``tally_cache``), so that the next
report reads what is new. The process begins with the first report. It shares the writer's memory bound, so it has one
of its own within that, and the kernel is told to take it first; it ends when the writer does, however that
ends. Who asks for what is being counted gets that; few different reports wait.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.audit.errors import AuditUnavailableError
from appliance.audit.tally_cache import open_cache
from appliance.audit.usage import build_report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from appliance.audit.note import VerifierKey

FIGURES = "figures"
MEMORY_BYTES = 256 << 20
"""For what the process itself writes to; the writer's bound has as much again for the writer."""
MAX_WAITING = 4
"""Different reports at once; the one that is counted is among them."""
_NICE = 10
_FIRST_TO_GO = "1000"
_STACK_BYTES = 1 << 20


class UsageProcess:
    """Reports on the log in ``directory``, which ``vkeys`` verify."""

    def __init__(self, directory: Path, vkeys: Sequence[VerifierKey]) -> None:
        self._directory = directory
        self._vkeys = tuple(vkeys)
        self._pool: ProcessPoolExecutor | None = None
        self._waiting: dict[tuple[date | None, date | None], Future[dict[str, Any]]] = {}

    def report(self, since: date | None, until: date | None) -> Future[dict[str, Any]]:
        """As ``UsageReport.as_json``, over all that is settled now, or was when somebody asked for the same.

        The result is shared, so nobody may cancel it. It raises what ``build_report`` does, ``MemoryError``, or
        ``BrokenProcessPool``. Raises ``AuditUnavailableError`` when ``MAX_WAITING`` others wait.
        """
        self._waiting = {asked: future for asked, future in self._waiting.items() if not future.done()}
        found = self._waiting.get((since, until))
        if found is None:
            if len(self._waiting) >= MAX_WAITING:
                raise AuditUnavailableError("other figures are being counted", "try again in a moment")
            found = self._waiting[since, until] = self._begin(since, until)
        return found

    def _begin(self, since: date | None, until: date | None) -> Future[dict[str, Any]]:
        asked = partial(_report, self._directory, self._vkeys, since, until)
        if self._pool is not None:
            try:
                return self._pool.submit(asked)
            except BrokenProcessPool:  # its process was killed; the next one begins anew
                self._pool.shutdown(wait=False)
        context = multiprocessing.get_context("forkserver")  # a fork of a process with threads would be none to rely on
        self._pool = ProcessPoolExecutor(1, context, initializer=_stand_back, initargs=(MEMORY_BYTES,))
        return self._pool.submit(asked)

    def close(self) -> None:
        """End the process, whatever it is counting: it only reads. Reports asked for before fail."""
        if self._pool is None:
            return
        self._pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():  # those of the pool; a writer has no others
            child.terminate()
        self._pool = None


def _stand_back(most_bytes: int) -> None:
    """In the new process: last at the processor, first to go, bounded, and gone when the writer is."""
    os.nice(_NICE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    threading.stack_size(_STACK_BYTES)
    threading.Thread(target=_end_with_writer, daemon=True).start()


def _end_with_writer() -> None:
    """A killed writer closes nothing, and the server that forked this process lives as long as it does."""
    writer = multiprocessing.parent_process()
    if writer is not None:
        writer.join()
        os._exit(1)


def _report(directory: Path, vkeys: Sequence[VerifierKey], since: date | None, until: date | None) -> dict[str, Any]:
    known = open_cache(directory.parent / FIGURES)
    return build_report(directory, vkeys=vkeys, since=since, until=until, known=known, processes=1).as_json()
