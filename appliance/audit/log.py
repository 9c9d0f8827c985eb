"""The log on disk and its one writer: append a batch, durably, under one signed checkpoint.

The order of a commit, which everything else rests on:
1. entries, tiles → fsync   2. sign the new tree   3. checkpoint → fsync   4. only then the caller is told.
A failure before 2 leaves the log as it was. A failure at 3 leaves a signed tree that nobody was told of: the log is
read anew from disk before the next batch, which begins with those same entries, so that no fork is ever signed.
"""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.audit.checkpoint import Checkpoint
from appliance.audit.edge import Edge
from appliance.audit.entry import decode_entry, encode_entry, same_event
from appliance.audit.errors import AuditUnavailableError, IdReusedError, unavailable
from appliance.audit.events_operation import log_recovery
from appliance.audit.ids import IdIndex
from appliance.audit.lock import lock_directory
from appliance.audit.merkle import EMPTY_ROOT
from appliance.audit.recovery import Found, read_log, stale_files
from appliance.audit.roles import WRITER
from appliance.audit.storage import DiskStorage, Storage
from appliance.audit.tiles import CHECKPOINT, WIDTH, TileReader
from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from appliance.audit.keys import CheckpointKeys
    from appliance.audit.note import VerifierKey

IDS = "ids.sqlite"
_RECOVERY = WRITER.id("recovery", "")
Record = tuple[str, bytes]


@dataclass(frozen=True)
class Signed:
    """A durable checkpoint: the tree head and the signed note that proves it."""

    head: Checkpoint
    note: str


@dataclass
class _Open:
    """What is true of the log as long as nothing failed: the durable head and the edge that it signs."""

    signed: Signed
    edge: Edge
    ids: IdIndex


class TileLog:
    """The only writer of the log in ``directory``. Not thread-safe: one thread owns it.

    Construction takes the lock and raises ``WriterLockedError`` when somebody else has it. Reading the log is put off
    to ``open`` (called by the first append), and is repeated after a failure.
    """

    def __init__(
        self,
        directory: Path,
        origin: str,
        keys: CheckpointKeys,
        *,
        storage: Storage | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._origin = origin
        self._keys = keys
        self._vkeys = keys.vkeys(origin)
        self._clock = clock
        self._state: _Open | None = None
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._lock = lock_directory(directory)
        self._storage = storage or DiskStorage(directory)

    @property
    def directory(self) -> Path:
        """The folder that holds the log."""
        return self._directory

    @property
    def vkeys(self) -> tuple[VerifierKey, ...]:
        """The keys that verify what this log signs."""
        return self._vkeys

    @property
    def signed(self) -> Signed | None:
        """The last durable checkpoint, or None while the log is not open (before the first use, after a failure)."""
        return self._state.signed if self._state else None

    def open(self) -> Signed:
        """Read the log from disk if it is not open, and recover what a crash left. Idempotent.

        Raises ``LogInconsistentError`` when it is not the log that was signed, ``LogFullError`` or
        ``AuditUnavailableError`` when the disk does not let it recover; the next call tries again.
        """
        if self._state is None:
            try:
                self._state = self._read()
            except (OSError, sqlite3.Error) as error:
                raise unavailable(error) from error
        return self._state.signed

    def find(self, records: Sequence[Record]) -> dict[str, int]:
        """Positions of the ids that are logged already. Raises ``IdReusedError`` when one names another event."""
        self.open()
        state = self._ready()
        try:
            stored = self._stored(state, records)
        except (OSError, sqlite3.Error) as error:
            raise unavailable(error) from error
        for entry_id, entry in records:
            if entry_id in stored and not same_event(stored[entry_id][1], entry):
                raise IdReusedError(f"id {entry_id!r} is already used by a different entry")
        return {entry_id: position for entry_id, (position, _) in stored.items()}

    def _stored(self, state: _Open, records: Sequence[Record]) -> dict[str, tuple[int, bytes]]:
        """Position and bytes of the records' ids that are logged. An index that does not fit the log is rebuilt."""
        tiles = TileReader(self._directory, state.edge.size)
        stored = {}
        for entry_id, position in state.ids.find([entry_id for entry_id, _ in records]).items():
            entry = tiles.entry(position) if position < tiles.size else b""
            if not entry or decode_entry(entry)[0] != entry_id:
                state.ids.clear()
                self._catch_up(state.ids, state.signed.head)
                return self._stored(state, records)
            stored[entry_id] = (position, entry)
        return stored

    def open_requests(self, wanted: Callable[[str], bool], limit: int) -> list[tuple[str, int, bytes]]:
        """Requests without an end of which ``wanted`` says so, at most ``limit``: each, its position and its entry."""
        self.open()
        state = self._ready()
        tiles = TileReader(self._directory, state.edge.size)
        try:
            found = [(one, at) for one, at in sorted(state.ids.open_requests().items()) if wanted(one)][:limit]
            return [(request, at, tiles.entry(at)) for request, at in found]
        except (OSError, sqlite3.Error) as error:
            raise unavailable(error) from error

    def count_open(self) -> int:
        """How many requests have no end yet; 0 while the log is not open."""
        return len(self._state.ids.open_requests()) if self._state else 0

    def forget_request(self, request: str) -> None:
        """See ``IdIndex.forget_request``."""
        if self._state:
            self._state.ids.forget_request(request)

    def append(self, records: Sequence[Record]) -> list[int]:
        """Make ``records`` durable under a new signed checkpoint; their positions. Ids must be new (see ``find``)."""
        self.open()
        state = self._ready()
        first = state.edge.size
        try:
            self._state = self._commit(state, records)
        except (OSError, sqlite3.Error) as error:
            raise unavailable(error) from error
        return list(range(first, first + len(records)))

    def close(self) -> None:
        """Release the lock and the index. The log can be opened again by a new ``TileLog``."""
        if self._state:
            self._state.ids.close()
            self._state = None
        if isinstance(self._storage, DiskStorage):
            self._storage.close()
        os.close(self._lock)

    def _ready(self) -> _Open:
        if self._state is None:
            raise AuditUnavailableError("the audit log is not open")
        return self._state

    def _read(self) -> _Open:
        found = read_log(self._directory, self._vkeys) or self._begin()
        ids = IdIndex(self._directory / IDS)
        state = _Open(Signed(found.head, found.note), found.edge, ids)
        try:
            self._catch_up(ids, found.head)
            if found.replay or found.dropped:
                state = self._commit(state, _recovered(found))
            for name in stale_files(self._directory, state.edge.size):
                self._storage.remove(name)
        except BaseException:
            ids.close()
            raise
        return state

    def _begin(self) -> Found:
        """A new log begins with a signed checkpoint of nothing, before any entry exists."""
        head = Checkpoint(self._origin, 0, EMPTY_ROOT)
        note = self._keys.sign(head, time=int(self._clock()))
        if (self._directory / IDS).exists():
            raise LogInconsistentError(f"{self._directory} has lost its checkpoint", "a log is never begun anew")
        self._storage.replace(CHECKPOINT, note.encode())
        return Found(head, note, Edge(), (), 0)

    def _catch_up(self, ids: IdIndex, head: Checkpoint) -> None:
        """Bring the index of ids up to the log. It never leads, unless the log lost entries that were durable."""
        if ids.size > head.size:
            raise LogInconsistentError(
                f"the log holds {head.size} entries but {ids.size} were signed: its tail was cut",
                "restore the whole log; entries that were acknowledged are missing",
            )
        tiles = TileReader(self._directory, head.size)
        for start in range(ids.size // WIDTH * WIDTH, head.size, WIDTH):
            ids.add([decode_entry(entry)[0] for entry in tiles.entries(start // WIDTH)], start)

    def _commit(self, state: _Open, records: Sequence[Record]) -> _Open:
        growth = state.edge.grow([entry for _, entry in records])
        try:
            self._storage.write(growth.files)
        except OSError:
            self._discard(list(growth.files))
            raise
        now = max(int(self._clock()), state.signed.head.time)
        head = Checkpoint(self._origin, growth.edge.size, growth.edge.tree.root(), now)
        note = self._keys.sign(head, time=now)
        try:
            self._storage.replace(CHECKPOINT, note.encode())
            state.ids.add([entry_id for entry_id, _ in records], state.edge.size)
        except BaseException:
            self._forget()  # the tree is signed: only the disk knows now where the log stands
            raise
        for folder in growth.obsolete:
            with suppress(OSError):  # a leftover partial tile wastes space and nothing else
                self._storage.remove(folder)
        return _Open(Signed(head, note), growth.edge, state.ids)

    def _discard(self, files: list[str]) -> None:
        """Drop the files of a batch that was never signed; if even that fails, read the log anew before the next."""
        try:
            for path in files:
                self._storage.remove(path)
        except OSError:
            self._forget()

    def _forget(self) -> None:
        if self._state:
            self._state.ids.close()
            self._state = None


def _recovered(found: Found) -> list[Record]:
    """The complete records, and an entry that says what happened, unless the last one is such an entry already."""
    if found.replay and not found.dropped and found.replay[-1][0].startswith(_RECOVERY):
        return list(found.replay)
    entry_id = f"{_RECOVERY}{uuid.uuid4()}"
    event = log_recovery(size=found.head.size, replayed=len(found.replay), dropped=found.dropped)
    return [*found.replay, (entry_id, encode_entry(event, entry_id))]
