"""Which id lies at which position: what makes appending idempotent, also across restarts; and which requests are open.

A side file, derived from the log and rebuilt from it where it is behind or absent. It is written after the checkpoint
is durable, so it can lag behind the log but never lead: an index that knows more entries than the log holds proves
that the log's tail was cut or an older copy put in its place.
"""

from __future__ import annotations

import hashlib
import sqlite3
from typing import TYPE_CHECKING

from appliance.audit.open_requests import step

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_QUERY_LIMIT = 500
_LAYOUT = 2


class IdIndex:
    """Maps ids to positions, in one SQLite file that only the writer opens (WAL: consistent after a power cut)."""

    def __init__(self, path: Path) -> None:
        self._unwritten: dict[bytes, int] = {}
        self._unwritten_size = 0
        self._unwritten_steps: dict[str, int | None] = {}
        try:
            self._db = _connect(path)
        except sqlite3.OperationalError:
            raise  # the disk's trouble, not the file's
        except sqlite3.DatabaseError:  # damaged: it is derived, so begin anew
            for name in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
                name.unlink(missing_ok=True)
            self._db = _connect(path)

    @property
    def size(self) -> int:
        """How many entries of the log the index has seen."""
        return int(self._db.execute("SELECT size FROM seen").fetchone()[0])

    def find(self, ids: Sequence[str]) -> dict[str, int]:
        """Positions of those ids that are known. The caller confirms each by reading the entry."""
        by_digest = {_digest(one): one for one in ids}
        digests = list(by_digest)
        found = {by_digest[digest]: self._unwritten[digest] for digest in digests if digest in self._unwritten}
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
        """As ``add``, in memory only, until ``write``."""
        for offset, one in enumerate(ids):
            self._unwritten.setdefault(_digest(one), start + offset)
            self._unwritten_size = start + offset + 1
            if (found := step(one)) is not None:
                request, begins = found
                self._unwritten_steps[request] = start + offset if begins else None

    def write(self) -> None:
        """Write what was noted, if the disk lets it."""
        if not self._unwritten_size:
            return
        try:
            with self._db:
                self._db.executemany("INSERT OR IGNORE INTO ids VALUES (?, ?)", self._unwritten.items())
                self._write_steps()
                self._db.execute("UPDATE seen SET size = ?", (self._unwritten_size,))
        except sqlite3.OperationalError:
            return
        self._unwritten.clear()
        self._unwritten_steps.clear()

    def _write_steps(self) -> None:
        begun = [(request, at) for request, at in self._unwritten_steps.items() if at is not None]
        ended = [(request,) for request, at in self._unwritten_steps.items() if at is None]
        self._db.executemany("INSERT OR IGNORE INTO open VALUES (?, ?)", begun)
        self._db.executemany("DELETE FROM open WHERE request = ?", ended)

    def open_requests(self) -> dict[str, int]:
        """Requests that have begun and not ended, and where they begin."""
        stored = {str(request): int(at) for request, at in self._db.execute("SELECT request, position FROM open")}
        return {request: at for request, at in (stored | self._unwritten_steps).items() if at is not None}

    def forget_request(self, request: str) -> None:
        """Take ``request`` off the open ones: its end was found, or it turned out to be none."""
        self._unwritten_steps.pop(request, None)
        with self._db:
            self._db.execute("DELETE FROM open WHERE request = ?", (request,))

    def clear(self) -> None:
        """Forget everything, to be rebuilt from the log."""
        self._unwritten.clear()
        self._unwritten_steps.clear()
        self._unwritten_size = 0
        with self._db:
            self._db.execute("DELETE FROM ids")
            self._db.execute("DELETE FROM open")
            self._db.execute("UPDATE seen SET size = 0")

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, check_same_thread=False)  # the log's lock serialises its threads
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
