"""A file of results as a run writes it: locked, whole lines only, gone on with by the same run and by no other."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.errors import UsageError
from appliance.learning.errors import ResultError
from appliance.learning.results import MAX_BYTES, Row, Withdrawn, line, read_results, whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appliance.learning.results import Run

_NONE = "there is no active case for these groups"


@dataclass
class ResultFile:
    """An open file of one run, and what it holds."""

    path: Path
    run: Run
    rows: list[Row] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    _descriptor: int = -1

    @property
    def left(self) -> set[str]:
        """What was drawn and has no line yet."""
        return set(self.run.drawn) - {row.drawn for row in self.rows} - set(self.withdrawn)

    def keep(self, one: Row | Withdrawn) -> None:
        """Put a line at the end, whole and durable, or nothing of it. Raises ``UsageError`` where there is no room."""
        size = os.fstat(self._descriptor).st_size
        try:
            left = memoryview(line(one))
            while left:
                left = left[os.write(self._descriptor, left) :]
            os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, size)
            os.lseek(self._descriptor, size, os.SEEK_SET)
            cause = f"{self.path} cannot be written: {(error.strerror or 'no room').lower()}"
            raise UsageError(cause, "make room and run it again: it goes on where it was") from error
        if isinstance(one, Row):
            self.rows.append(one)
        else:
            self.withdrawn.append(one.drawn)


@contextmanager
def opened(out: Path, run_of: Run) -> Iterator[ResultFile]:
    """``out``, locked: with the run that it holds, which has to ask as ``run_of`` does, or begun anew as that.

    Raises ``ResultError`` for another run's file and for what is no such file, ``UsageError`` where there is no case to
    begin with or no way to write; the file is as it was then.
    """
    begins = os.O_CREAT if run_of.count else 0
    try:
        descriptor = os.open(out, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | begins, 0o600)
    except FileNotFoundError as error:
        if begins:
            raise UsageError(f"{out} cannot be written: there is no such folder", "name a file") from error
        raise UsageError(_NONE, "experts make cases; see `sovereign learn cases`") from error
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: {(error.strerror or 'no reason').lower()}", "name a file"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f"{out} is being written by another run", "wait for it") from error
        found = _held(out, descriptor, run_of)
        if found is None:
            if not run_of.count:
                raise UsageError(_NONE, "experts make cases; see `sovereign learn cases`")
            found = ResultFile(out, run_of)
            os.pwrite(descriptor, line(run_of), 0)
        found._descriptor = descriptor  # noqa: SLF001 - its own module
        os.lseek(descriptor, 0, os.SEEK_END)
        yield found
    finally:
        os.close(descriptor)


def _held(out: Path, descriptor: int, run_of: Run) -> ResultFile | None:
    """What the file holds, cut after its last whole line; None of an empty one."""
    size = os.fstat(descriptor).st_size
    if size > MAX_BYTES:
        raise ResultError(f"{out} is longer than {MAX_BYTES >> 20} MiB", "name a new file")
    raw = whole(os.pread(descriptor, size, 0))
    if not raw:
        if size:
            raise ResultError(f"{out} is no file of results", "name a new file")
        return None
    found = read_results(raw, str(out))
    if not found.run.asks_as(run_of):
        raise ResultError(f"{out} is of another run: another model, other groups, seed or settings", "name a new file")
    os.ftruncate(descriptor, len(raw))
    return ResultFile(out, found.run, list(found.rows), list(found.withdrawn))
