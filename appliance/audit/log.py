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
from appliance.audit.emptying import Emptying
from appliance.audit.entry import decode_entry
from appliance.audit.errors import AuditUnavailableError, JournalFullError, disk_trouble, unavailable
from appliance.audit.journal import Journal, encode_batch
from appliance.audit.known import Known
from appliance.audit.lock import lock_directory
from appliance.audit.opening import open_log
from appliance.audit.proving import prove_each
from appliance.audit.pruned import PRUNED, encode_pruned, remove_entries
from appliance.audit.storage import DiskStorage, Storage
from appliance.audit.tiles import tile_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from appliance.audit.apart import Item
    from appliance.audit.keys import CheckpointKeys
    from appliance.audit.ocsf import Event
    from appliance.audit.settling import Settlement, Signed

_ROOM_FOR_NOTE = 8192


class TileLog(Known):
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
        super().__init__(directory, keys.vkeys(origin))
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._lock = lock_directory(directory)
        self._journal = journal or Journal(directory)
        self._disk = threading.Lock()  # held by whoever writes tiles and the checkpoint's file
        self._storage = storage or DiskStorage(directory)
        self._apart = ApartStore(directory, keys.ed25519, self._storage)
        self._commits = Committer(origin, keys, self._storage, clock=clock, fence=fence, in_doubt=self._forget)
        self._fence = fence
        self._emptying = Emptying(self._journal, self._storage, self._disk)

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

    def enter(self, records: Sequence[Record]) -> list[int]:
        """Make ``records`` durable in the journal under a new signed checkpoint; their positions. Ids must be new.

        An entry follows them where the host's clock is behind the log and no entry says so (``clock``).
        Raises ``JournalFullError``, having changed nothing, when what is there must be settled first, or when they are
        more than a segment holds: then only ``append`` takes them.
        """
        self.open()
        state = self._ready()
        first = state.edge.size
        with disk_trouble():
            told = self._commits.told(state, records)
        entries = [entry for _, entry in told]
        if not self._journal.has_room(sum(map(len, entries)) + 2 * len(entries) + _ROOM_FOR_NOTE):
            raise JournalFullError("the journal of the audit log is full", "it is emptied into tiles")
        growth = state.edge.grow(entries)
        signed = self._commits.sign(growth.edge, state.signed)
        try:
            self._journal.write(encode_batch(first, entries, signed.note.encode()))
            state.ids.note([entry_id for entry_id, _ in told], first)
            state.unsettled.add(first, entries, growth)
        except BaseException as error:  # the tree is signed, and may be durable: only the disk knows
            self._forget()
            if isinstance(error, OSError):
                raise unavailable(error) from error
            raise
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
    def clock_behind(self) -> int:
        """By how many seconds the host's clock is behind the last signature; 0 where it is not, or the log not open."""
        signed = self.signed
        return self._commits.behind(signed) if signed else 0

    @property
    def filling(self) -> float:
        """How full the journal's segment is, from 0 to 1."""
        return self._journal.filling

    def begin_settling(self) -> Settlement | None:
        """See ``Emptying.begin``; None while the log is not open. Raises as ``append``."""
        return self._emptying.begin(self._state) if self._state else None

    def write_settlement(self, settlement: Settlement) -> None:
        """Put it into tiles, and the ids that it holds into their index; in another thread than the log's.

        Raises ``OSError``, to be given to ``end_settling``.
        """
        with self._disk:
            state = self._state
            if state is None or state.settling is not settlement:
                return  # it was settled otherwise
            settlement.write(self._storage)
        state.ids.write_taken()

    def end_settling(self, settlement: Settlement, error: OSError | None) -> None:
        """See ``Emptying.end``."""
        if self._state:  # else the log is to be read anew, and settled in that
            self._emptying.end(self._state, settlement, error)

    def settle(self) -> None:
        """See ``Emptying.now``. Raises as ``append``."""
        if self._state:
            self._emptying.now(self._state)

    def append(self, records: Sequence[Record]) -> list[int]:
        """Make ``records`` durable under a new signed checkpoint; their positions. As ``enter``, without a journal."""
        self.open()
        self.settle()
        state = self._ready()
        first = state.edge.size
        with disk_trouble(), self._disk:
            self._state = self._commits.commit(state, self._commits.told(state, records))
        return list(range(first, first + len(records)))

    def prune(self, end: int, index: int) -> None:
        """Remove the entries before ``end``, whose hashes stay; entry ``index`` says so and is in tiles.

        ``end`` is a whole number of bundles. Whether they may go is not asked here (``pruning``). Raises as ``append``.
        """
        with disk_trouble(), self._disk:
            self._storage.replace(PRUNED, encode_pruned(end, index))
            self._ready().pruned = end
            remove_entries(self._directory, self._storage, self._apart, end)

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
