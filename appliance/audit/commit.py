"""Signing a tree, and putting one batch into tiles under it: entries, tiles → fsync, sign, checkpoint → fsync."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from appliance.audit.checkpoint import Checkpoint
from appliance.audit.clock import behind, telling
from appliance.audit.edge import Edge
from appliance.audit.errors import AuditUnavailableError
from appliance.audit.merkle import EMPTY_ROOT
from appliance.audit.recovery import Found
from appliance.audit.settling import Signed
from appliance.audit.tiles import CHECKPOINT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from appliance.audit.keys import CheckpointKeys
    from appliance.audit.open_log import OpenLog
    from appliance.audit.storage import Storage

Record = tuple[str, bytes]
"""An entry's id and its bytes."""


class Committer:
    """Signs for the log ``origin`` and writes to ``storage``. Everything raises ``OSError``, ``sqlite3.Error``.

    ``fence`` raises ``AuditUnavailableError`` where this writer may not sign now; it is asked before each signature.
    ``in_doubt`` is called where a failure leaves open how far the log goes: only the disk knows, and is to be read.
    """

    def __init__(  # noqa: PLR0913 - what it needs, by keyword
        self,
        origin: str,
        keys: CheckpointKeys,
        storage: Storage,
        *,
        clock: Callable[[], float],
        fence: Callable[[], None],
        in_doubt: Callable[[], None],
    ) -> None:
        self._origin = origin
        self._signer = keys.signer(origin)
        self._storage = storage
        self._clock = clock
        self._fence = fence
        self._in_doubt = in_doubt

    def begin(self) -> Found:
        """A new log begins with a signed checkpoint of nothing, before any entry exists."""
        self._fence()
        head = Checkpoint(self._origin, 0, EMPTY_ROOT)
        note = self._signer.sign(head, time=int(self._clock()))
        self._storage.replace(CHECKPOINT, note.encode())
        return Found(head, note, Edge(), (), 0)

    def sign(self, edge: Edge, before: Signed) -> Signed:
        """The tree of ``edge``, not dated before what was signed ``before``. Only what is made durable is shown."""
        self._fence()
        now = max(int(self._clock()), before.head.time)
        head = Checkpoint(self._origin, edge.size, edge.tree.root(), now)
        return Signed(head, self._signer.sign(head, time=now))

    def behind(self, before: Signed) -> int:
        """By how many seconds the host's clock is behind what was signed ``before``; see ``clock``."""
        return behind(self._clock(), before.head.time)

    def told(self, state: OpenLog, records: Sequence[Record]) -> list[Record]:
        """``records``, and behind them that the clock is behind, where neither they nor ``state`` hold it yet."""
        told = telling(self._clock(), state.signed.head.time)
        if told is None or told[0] in dict(records) or state.ids.find([told[0]]):
            return list(records)
        return [*records, told]

    def commit(self, state: OpenLog, records: Sequence[Record]) -> OpenLog:
        """``state`` with ``records`` in tiles under a new durable checkpoint."""
        self._fence()  # before anything is written that would have to be taken back
        growth = state.edge.grow([entry for _, entry in records])
        try:
            self._storage.write(growth.files)
        except OSError:
            self._discard(list(growth.files))
            raise
        try:
            signed = self.sign(growth.edge, state.signed)
        except AuditUnavailableError:
            self._discard(list(growth.files))
            raise
        try:
            self._storage.replace(CHECKPOINT, signed.note.encode())
            state.ids.add([entry_id for entry_id, _ in records], state.edge.size)
        except BaseException:
            self._in_doubt()  # the tree is signed
            raise
        for folder in growth.obsolete:
            with suppress(OSError):  # a leftover partial tile wastes space and nothing else
                self._storage.remove(folder)
        return state.grown(signed, growth.edge)

    def _discard(self, files: list[str]) -> None:
        """Drop the files of a batch that was never signed."""
        try:
            for path in files:
                self._storage.remove(path)
        except OSError:
            self._in_doubt()
