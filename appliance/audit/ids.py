"""Which id lies at which position: what makes appending idempotent, also across restarts; and which requests are open.

A side file, derived from the log and rebuilt from it where it is behind or absent. It is written after the checkpoint
is durable, so it can lag behind the log but never lead: an index that knows more entries than the log holds proves
that the log's tail was cut or an older copy put in its place.

What is new is noted in memory; writing it takes longer than a commit, and is for the thread that writes tiles: it has a
connection of its own, so that nobody who looks an id up waits for it.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.audit.open_requests import step

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_QUERY_LIMIT = 500
_LAYOUT = 2


@dataclass
class _Noted:
    """What is to be written: where each id lies, how many entries are known with it, and the steps of requests."""

    ids: dict[bytes, int] = field(default_factory=dict)
    size: int = 0
    steps: dict[str, int | None] = field(default_factory=dict)

    def after(self, earlier: _Noted) -> _Noted:
        """Both together: the first position of an id stays, and the last step of a request."""
        return _Noted(self.ids | earlier.ids, max(self.size, earlier.size), earlier.steps | self.steps)


class IdIndex:
    """Maps ids to positions, in one SQLite file that only the writer opens (WAL: consistent after a power cut).

    One thread owns it; ``write_taken`` alone is for any.
    """

    def __init__(self, path: Path) -> None:
        self._noted = _Noted()
        self._taken = _Noted()
        self._writing = threading.Lock()  # held by whoever writes to the file, or changes what was taken
        try:
            self._db = _connect(path)
        except sqlite3.OperationalError:
            raise  # the disk's trouble, not the file's
        except sqlite3.DatabaseError:  # damaged: it is derived, so begin anew
            for name in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
                name.unlink(missing_ok=True)
            self._db = _connect(path)
        try:
            self._pen: sqlite3.Connection | None = _connect(path)
        except BaseException:
            self._db.close()
            raise

    @property
    def size(self) -> int:
        """How many entries of the log the index has seen."""
        return int(self._db.execute("SELECT size FROM seen").fetchone()[0])

    def find(self, ids: Sequence[str]) -> dict[str, int]:
        """Positions of those ids that are known. The caller confirms each by reading the entry."""
        by_digest = {_digest(one): one for one in ids}
        digests = list(by_digest)
        noted, taken = self._noted.ids, self._taken.ids  # before the file: what is no longer taken is in there
        found = {one: noted[digest] for digest, one in by_digest.items() if digest in noted}
        found |= {one: taken[digest] for digest, one in by_digest.items() if digest in taken}
        for start in range(0, len(digests), _QUERY_LIMIT):
            part = digests[start : start + _QUERY_LIMIT]
            marks = ",".join("?" * len(part))
            rows = self._db.execute(
                f"SELECT digest, position FROM ids WHERE digest IN ({marks})",  # noqa: S608 - only question marks
                part,
            )
            found |= {by_digest[digest]: position for digest, position in rows}
        return found

    def add(self, ids: Iterable[str], start: int) -> None:
        """Record ids of the entries from ``start`` on, which are in tiles. The first position of an id stays.

        When the disk refuses, they are kept in memory and written with the next ones: the entries are in the log
        already, and a restart reads them from there.
        """
        self.note(ids, start)
        self.write()

    def note(self, ids: Iterable[str], start: int) -> None:
        """As ``add``, in memory only, until ``write``, or ``take`` and ``write_taken``."""
        noted = self._noted
        for offset, one in enumerate(ids):
            noted.ids.setdefault(_digest(one), start + offset)
            noted.size = start + offset + 1
            if (found := step(one)) is not None:
                request, begins = found
                noted.steps[request] = start + offset if begins else None

    def write(self) -> None:
        """Write what was noted, here and now, if the disk lets it."""
        self.take()
        self.write_taken()

    def take(self) -> None:
        """Set aside what was noted, to be written by ``write_taken``."""
        with self._writing:
            self._taken, self._noted = self._noted.after(self._taken), _Noted()

    def write_taken(self) -> None:
        """Write what was taken, in any thread, if the disk lets it; else it stays taken. Nothing once it is closed."""
        with self._writing:
            if self._pen is None or not self._taken.size:
                return
            try:
                with self._pen:
                    rows = sorted(self._taken.ids.items())  # neighbours lie on one page
                    self._pen.executemany("INSERT OR IGNORE INTO ids VALUES (?, ?)", rows)
                    self._write_steps(self._pen)
                    self._pen.execute("UPDATE seen SET size = ?", (self._taken.size,))
            except sqlite3.DatabaseError:  # a damaged file is told of by who looks an id up
                return
            self._taken = _Noted()

    def _write_steps(self, pen: sqlite3.Connection) -> None:
        begun = [(request, at) for request, at in self._taken.steps.items() if at is not None]
        ended = [(request,) for request, at in self._taken.steps.items() if at is None]
        pen.executemany("INSERT OR IGNORE INTO open VALUES (?, ?)", begun)
        pen.executemany("DELETE FROM open WHERE request = ?", ended)

    def open_requests(self) -> dict[str, int]:
        """Requests that have begun and not ended, and where they begin."""
        later = self._taken.steps | self._noted.steps  # before the file: see ``find``
        stored = {str(request): int(at) for request, at in self._db.execute("SELECT request, position FROM open")}
        return {request: at for request, at in (stored | later).items() if at is not None}

    def forget_request(self, request: str) -> None:
        """Take ``request`` off the open ones: its end was found, or it turned out to be none."""
        self._noted.steps.pop(request, None)
        with self._writing:
            self._taken.steps.pop(request, None)
            self._write("DELETE FROM open WHERE request = ?", request)

    def clear(self) -> None:
        """Forget everything, to be rebuilt from the log."""
        self._noted = _Noted()
        with self._writing:
            self._taken = _Noted()
            self._write("DELETE FROM ids")
            self._write("DELETE FROM open")
            self._write("UPDATE seen SET size = 0")

    def _write(self, statement: str, *values: object) -> None:
        assert self._pen is not None
        with self._pen:
            self._pen.execute(statement, values)

    def close(self) -> None:
        """Close the file, when nobody writes to it."""
        with self._writing:
            if self._pen is not None:
                self._pen.close()
                self._pen = None
        self._db.close()


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, check_same_thread=False)  # never two threads at once: see ``IdIndex``
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        with db:
            db.execute("CREATE TABLE IF NOT EXISTS ids (digest BLOB PRIMARY KEY, position INTEGER) WITHOUT ROWID")
            db.execute("CREATE TABLE IF NOT EXISTS seen (size INTEGER)")
            db.execute("INSERT INTO seen SELECT 0 WHERE NOT EXISTS (SELECT * FROM seen)")
            db.execute("CREATE TABLE IF NOT EXISTS open (request TEXT PRIMARY KEY, position INTEGER) WITHOUT ROWID")
            if db.execute("PRAGMA user_version").fetchone()[0] != _LAYOUT:  # from before there was a table of requests
                db.execute("DELETE FROM ids")
                db.execute("UPDATE seen SET size = 0")
                db.execute(f"PRAGMA user_version = {_LAYOUT}")
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db


def _digest(entry_id: str) -> bytes:
    return hashlib.sha256(entry_id.encode("utf-8", "surrogatepass")).digest()[:16]
