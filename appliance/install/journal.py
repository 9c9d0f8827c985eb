"""The install journal: an append-only file that is the truth about what was done to a site.

One JSON object per line, each fsynced before the step it announces begins or after the work it records is durable.
A power cut can tear the last line only; it is cut off when the journal is opened for writing. A damaged line anywhere
else is corruption and is refused.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Self

from appliance.errors import DeploymentError, SovereignError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

State = Literal["started", "done", "failed"]


@dataclass(frozen=True)
class Record:
    """One line: what happened to ``step``. ``digest`` covers the step's inputs."""

    seq: int
    at: str
    step: str
    state: State
    digest: str
    detail: Mapping[str, str] = field(default_factory=dict)


class Journal:
    """Appends records durably; safe to use from several threads, one process at a time."""

    def __init__(self, path: Path, records: list[Record], descriptor: int) -> None:
        self._path = path
        self._records = records
        self._descriptor = descriptor
        self._lock = threading.Lock()  # guards _records and the order of lines in the file

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open for appending; the file and its folder are made, a torn last line is cut off."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) != len(data):
            os.ftruncate(descriptor, len(whole))
        os.lseek(descriptor, 0, os.SEEK_END)
        os.fsync(descriptor)
        _sync_folder(path.parent)
        return cls(path, _parse(whole, path), descriptor)

    @property
    def records(self) -> tuple[Record, ...]:
        """Every record so far, oldest first."""
        with self._lock:
            return tuple(self._records)

    def append(self, step: str, state: State, digest: str, detail: Mapping[str, str] | None = None) -> Record:
        """Write one record and wait until it is on the disk."""
        with self._lock:
            seq = len(self._records) + 1
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            record = Record(seq, now, step, state, digest, dict(detail or {}))
            line = json.dumps(asdict(record), ensure_ascii=True, sort_keys=True).encode() + b"\n"
            end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
            try:
                _write_all(self._descriptor, line)
                os.fsync(self._descriptor)
            except OSError as error:
                with suppress(OSError):  # half a line must not stand before one that another thread still writes
                    os.ftruncate(self._descriptor, end)
                    os.lseek(self._descriptor, end, os.SEEK_SET)
                raise DeploymentError(
                    f"the install journal cannot be written: {error.strerror}", f"make room on the disk of {self._path}"
                ) from error
            self._records.append(record)
            return record

    def done(self, step: str) -> Record | None:
        """The record of ``step`` if the last thing that happened to it was its completion."""
        return latest_done(self.records, step)

    def close(self) -> None:
        """Release the file."""
        os.close(self._descriptor)


@contextmanager
def beside(error: BaseException) -> Iterator[None]:
    """Journal that ``error`` happened: where that fails too, as on a full disk, it becomes a note of ``error``."""
    try:
        yield
    except (SovereignError, OSError) as second:
        cause = second.cause if isinstance(second, SovereignError) else str(second)
        error.add_note(f"nor is it in the install journal: {cause}")


def read_journal(path: Path) -> tuple[Record, ...]:
    """The records of the journal at ``path`` without touching it; none when there is no journal."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ()
    return tuple(_parse(data[: data.rfind(b"\n") + 1], path))


def latest_done(records: tuple[Record, ...], step: str) -> Record | None:
    """As ``Journal.done``, over records that were read."""
    last = next((r for r in reversed(records) if r.step == step), None)
    return last if last is not None and last.state == "done" else None


def _parse(data: bytes, path: Path) -> list[Record]:
    records: list[Record] = []
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            record = Record(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise _corrupt(path, number) from error
        if record.seq != number:
            raise _corrupt(path, number)
        records.append(record)
    return records


def _corrupt(path: Path, number: int) -> DeploymentError:
    return DeploymentError(f"{path}: line {number} of the install journal is damaged", "restore the site from a backup")


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
