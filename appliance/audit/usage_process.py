"""Counting the log beside a running writer: in one process of its own, at low priority, one report at a time.

What was counted lies in ``figures`` beside the log, under the root of its entries (``tally_cache``), so that the next
report reads what is new. The process begins with the first report.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import TYPE_CHECKING, Any

from appliance.audit.tally_cache import open_cache
from appliance.audit.usage import build_report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

    from appliance.audit.note import VerifierKey

FIGURES = "figures"
_NICE = 10


class UsageProcess:
    """Reports on the log in ``directory``, which ``vkeys`` verify."""

    def __init__(self, directory: Path, vkeys: Sequence[VerifierKey]) -> None:
        self._directory = directory
        self._vkeys = tuple(vkeys)
        self._pool: ProcessPoolExecutor | None = None

    def report(self, since: date | None, until: date | None) -> Future[dict[str, Any]]:
        """As ``UsageReport.as_json``. The result raises what ``build_report`` does, or ``BrokenProcessPool``."""
        asked = partial(_report, self._directory, self._vkeys, since, until)
        if self._pool is not None:
            try:
                return self._pool.submit(asked)
            except BrokenProcessPool:  # its process was killed; the next one begins anew
                self._pool.shutdown(wait=False)
        context = multiprocessing.get_context("forkserver")  # a fork of a process with threads would be none to rely on
        self._pool = ProcessPoolExecutor(1, context, initializer=os.nice, initargs=(_NICE,))
        return self._pool.submit(asked)

    def close(self) -> None:
        """End the process, whatever it is counting: it only reads. Reports asked for before fail."""
        if self._pool is None:
            return
        self._pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():  # those of the pool; a writer has no others
            child.terminate()
        self._pool = None


def _report(directory: Path, vkeys: Sequence[VerifierKey], since: date | None, until: date | None) -> dict[str, Any]:
    known = open_cache(directory.parent / FIGURES)
    return build_report(directory, vkeys=vkeys, since=since, until=until, known=known, processes=1).as_json()
