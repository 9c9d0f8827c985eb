"""The log on disk and its one writer: append a batch, durably, under one signed checkpoint.

``enter`` is how the service does it: sign the new tree, put entries and checkpoint into the journal with one durable
write, tell the caller; tiles and the checkpoint's file follow (``settle``), many batches at once. ``append`` does
without a journal: entries, tiles → fsync, sign, checkpoint → fsync, tell the caller. Either way nobody is told, and no
checkpoint is given out, before entries and checkpoint are durable.

After a failure the log is read anew from disk before the next batch. A tree that may have been signed is continued:
the next batch begins with the same entries, so that no fork is ever signed.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from appliance.audit.apart_store import ApartStore
from appliance.audit.commit import Committer, Record
from appliance.audit.entry import decode_entry
from appliance.audit.errors import AuditUnavailableError, JournalFullError, disk_trouble, unavailable
from appliance.audit.journal import SEGMENTS, Journal, encode_batch
from appliance.audit.lock import lock_directory
from appliance.audit.opening import open_log
from appliance.audit.proving import prove_each
from appliance.audit.pruned import PRUNED, encode_pruned
from appliance.audit.settling import Settlement, Signed, Unsettled
from appliance.audit.storage import DiskStorage, Storage
from appliance.audit.tiles import WIDTH, decode_entries, tile_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from appliance.audit.apart import Item
    from appliance.audit.keys import CheckpointKeys
    from appliance.audit.note import VerifierKey
    from appliance.audit.ocsf import Event
    from appliance.audit.open_log import OpenLog

_ROOM_FOR_NOTE = 8192


class TileLog:
    """The only writer of the log in ``directory``. Not thread-safe: one thread owns it.

    Construction takes the lock and raises ``WriterLockedError`` when somebody else has it. Reading the log is put off
    to ``open`` (called by the first append), and is repeated after a failure.
    """

    def __init__(  # noqa: PLR0913 - tests put doubles in place of disk, journal and clock
        self,
        directory: Path,
        origin: str,
        keys: CheckpointKeys,
        *,
        storage: Storage | None = None,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.time,
        fence: Callable[[], None] = lambda: None,
    ) -> None:
        self._directory = directory
        self._vkeys = keys.vkeys(origin)
        self._state: OpenLog | None = None
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._lock = lock_directory(directory)
        self._journal = journal or Journal(directory)
        self._disk = threading.Lock()  # held by whoever writes tiles and the checkpoint's file
        self._storage = storage or DiskStorage(directory)
        self._apart = ApartStore(directory, keys.ed25519, self._storage)
        self._commits = Committer(origin, keys, self._storage, clock=clock, fence=fence, in_doubt=self._forget)
        self._fence = fence

    @property
    def directory(self) -> Path:
        """The folder that holds the log."""
        return self._directory

    @property
    def vkeys(self) -> tuple[VerifierKey, ...]:
        """The keys that verify what this log signs."""
        return self._vkeys

    @property
    def pruned(self) -> int:
        """Entries before this position may be gone; 0 while the log is not open."""
        return self._state.pruned if self._state else 0

    @property
    def signed(self) -> Signed | None:
        """The last durable checkpoint, or None while the log is not open (before the first use, after a failure)."""
        return self._state.signed if self._state else None

    @property
    def settled(self) -> Signed | None:
        """The last checkpoint whose tree lies in tiles; what readers of the folder see. None as ``signed``."""
        return self._state.settled if self._state else None

    def require(self) -> None:
        """Raises ``AuditUnavailableError`` where this writer may not sign now: another one may, or will soon."""
        self._fence()

    def open(self) -> Signed:
        """Read the log from disk if it is not open, and recover what a crash left. Idempotent.

        Raises ``LogInconsistentError`` when it is not the log that was signed, ``LogFullError`` or
        ``AuditUnavailableError`` when the disk does not let it recover; the next call tries again.
        """
        if self._state is None:
            with disk_trouble(), self._disk:
                state = open_log(self._directory, self._vkeys, self._storage, self._journal, self._commits)
                try:
                    self._apart.forget_again(state.settled.head.size, state.pruned)
                except BaseException:
                    state.ids.close()
                    raise
                self._state = state
        return self._state.signed

    def stored(self, ids: Sequence[str]) -> dict[str, tuple[int, bytes]]:
        """See ``OpenLog.stored``. Raises as ``open``."""
        self.open()
        with disk_trouble():
            return self._ready().stored(ids)

    def open_requests(self, wanted: Callable[[str], bool], limit: int) -> list[tuple[str, int, bytes]]:
        """See ``OpenLog.open_requests``. Raises as ``open``."""
        self.open()
        with disk_trouble():
            return self._ready().open_requests(wanted, limit)

    def count_open(self) -> int:
        """How many requests have no end yet; 0 while the log is not open."""
        return len(self._state.ids.open_requests()) if self._state else 0

    def forget_request(self, request: str) -> None:
        """See ``IdIndex.forget_request``."""
        if self._state:
            self._state.ids.forget_request(request)

    def enter(self, records: Sequence[Record]) -> list[int]:
        """Make ``records`` durable in the journal under a new signed checkpoint; their positions. Ids must be new.

        Raises ``JournalFullError``, having changed nothing, when what is there must be settled first, or when they are
        more than a segment holds: then only ``append`` takes them.
        """
        self.open()
        state = self._ready()
        first, entries = state.edge.size, [entry for _, entry in records]
        if not self._journal.has_room(sum(map(len, entries)) + 2 * len(entries) + _ROOM_FOR_NOTE):
            raise JournalFullError("the journal of the audit log is full", "it is emptied into tiles")
        growth = state.edge.grow(entries)
        signed = self._commits.sign(growth.edge, state.signed)
        try:
            self._journal.write(encode_batch(first, entries, signed.note.encode()))
        except OSError as error:
            self._forget()
            raise unavailable(error) from error
        state.ids.note([entry_id for entry_id, _ in records], first)
        state.unsettled.add(first, entries, growth)
        state.signed, state.edge = signed, growth.edge
        return list(range(first, first + len(records)))

    def keep(self, entry_id: str, event: Event, sender: int | None) -> Record:
        """See ``ApartStore.keep``. Raises as ``open``."""
        with disk_trouble():
            return self._apart.keep(entry_id, event, sender)

    def forget(self, subject: str) -> None:
        """See ``ApartStore.forget``. Raises as ``open``."""
        with disk_trouble():
            self._apart.forget(subject)

    def read_apart(self, entry: bytes) -> list[tuple[Item, bytes, str]]:
        """See ``ApartStore.read``, of a logged entry."""
        with disk_trouble():
            return self._apart.read(*decode_entry(entry))

    def prove(self, positions: Sequence[int]) -> list[list[bytes]]:
        """The inclusion proof of each of these durable entries under ``signed``. Raises ``LogInconsistentError``."""
        return prove_each(self._ready(), positions)

    @property
    def filling(self) -> float:
        """How full the journal's segment is, from 0 to 1."""
        return self._journal.filling

    @property
    def unsettled(self) -> bool:
        """Whether entries lie in the journal only."""
        return bool(self._state and (self._state.unsettled.entries or self._state.settling))

    def begin_settling(self) -> Settlement | None:
        """What is to be written now, by ``write_settlement``; None when that is nothing, or is under way or done."""
        state = self._state
        if state is None or state.settling or not state.unsettled.entries:
            return None
        left = self._journal.turn()
        if left is None:  # the other segment could not be settled before: nothing may come in between
            self.settle()
            return None
        state.settling = state.settlement(state.unsettled, (left,))
        state.unsettled = Unsettled()
        return state.settling

    def write_settlement(self, settlement: Settlement) -> None:
        """Put it into tiles; in another thread than the log's. Raises ``OSError``, to be given to ``end_settling``."""
        with self._disk:
            if self._state is not None and self._state.settling is settlement:  # else it was settled otherwise
                settlement.write(self._storage)

    def end_settling(self, settlement: Settlement, error: OSError | None) -> None:
        """``settlement`` was written, or failed with ``error``: then it is part of the next one."""
        state = self._state
        if state is None or state.settling is not settlement:
            return  # the log was read anew meanwhile, and settled in that
        state.settling = None
        if error is not None:
            state.unsettled = state.unsettled.after(settlement.unsettled)
            return
        state.settled = settlement.signed
        for segment in settlement.segments:
            self._journal.free(segment)
        state.ids.write()

    def settle(self) -> None:
        """Put everything into tiles, here and now. Raises as ``append``."""
        state = self._state
        if state is None or not (state.unsettled.entries or state.settling):
            return
        settlement = state.settlement(state.all_unsettled(), tuple(range(SEGMENTS)))
        with disk_trouble(), self._disk:
            settlement.write(self._storage)
            state.settling, state.unsettled = settlement, Unsettled()  # before another thread may write an older one
        self.end_settling(settlement, None)

    def append(self, records: Sequence[Record]) -> list[int]:
        """Make ``records`` durable under a new signed checkpoint; their positions. Ids must be new (see ``stored``)."""
        self.open()
        self.settle()
        state = self._ready()
        first = state.edge.size
        with disk_trouble(), self._disk:
            self._state = self._commits.commit(state, records)
        return list(range(first, first + len(records)))

    def prune(self, end: int, index: int) -> None:
        """Remove the entries before ``end``, whose hashes stay; entry ``index`` says so and is in tiles.

        ``end`` is a whole number of bundles. Whether they may go is not asked here (``pruning``). Raises as ``append``.
        """
        with disk_trouble(), self._disk:
            self._storage.replace(PRUNED, encode_pruned(end, index))
            self._ready().pruned = end
            for bundle in range(end // WIDTH):
                self._apart.discard(self._entries_left(bundle))
                self._storage.remove(tile_path(None, bundle))

    def _entries_left(self, bundle: int) -> list[bytes]:
        """Of a full bundle that is to go; none where it is gone already."""
        try:
            return decode_entries((self._directory / tile_path(None, bundle)).read_bytes(), WIDTH)[0]
        except FileNotFoundError:
            return []

    def put_back(self, index: int, bundle: bytes) -> None:
        """Put the entries of bundle ``index`` back, which were pruned; they are what the log's hashes say."""
        with disk_trouble(), self._disk:
            self._storage.write({tile_path(None, index): bundle})

    def close(self) -> None:
        """Release the lock and the index. The log can be opened again by a new ``TileLog``."""
        with suppress(AuditUnavailableError):  # what is in the journal is read from there when the log is opened
            self.settle()
        if self._state:
            self._state.ids.close()
            self._state = None
        self._journal.close()
        if isinstance(self._storage, DiskStorage):
            self._storage.close()
        os.close(self._lock)

    def _ready(self) -> OpenLog:
        if self._state is None:
            raise AuditUnavailableError("the audit log is not open")
        return self._state

    def _forget(self) -> None:
        if self._state:
            self._state.ids.close()
            self._state = None
