"""One group commit, in the thread that the log lives in: what is new of many submissions becomes durable at once.

Each submission succeeds or fails as a whole: one with an id that names another event is refused, and its neighbours do
not notice. What is logged already is answered with where it lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.audit.entry import same_event
from appliance.audit.erased import erased_in
from appliance.audit.errors import AuditUnavailableError, EntryRefusedError, IdReusedError, JournalFullError
from appliance.errors import LogInconsistentError, SovereignError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from appliance.audit.commit import Record
    from appliance.audit.log import TileLog
    from appliance.audit.settling import Signed


@dataclass(frozen=True)
class Receipt:
    """Where a submission's entries lie, and the durable checkpoint that covers them.

    ``proofs`` holds each entry's inclusion proof under that checkpoint where the submission asked for them, and None
    where nobody did or the log's tiles do not give them.
    """

    positions: list[int]
    signed: Signed
    proofs: list[list[bytes]] | None = None


@dataclass
class Submission:
    """One caller's list of entries, their ``size`` in bytes, and where the caller hears."""

    records: list[Record]
    size: int
    done: asyncio.Future[Receipt]
    proven: bool


class GroupCommit:
    """Commits to ``log``, whose thread calls it."""

    def __init__(self, log: TileLog) -> None:
        self._log = log

    def commit(self, submissions: Sequence[Submission]) -> list[Receipt | SovereignError]:
        """Sort out what is logged already and what may not be, then commit the rest at once; each one's outcome.

        Raises what concerns all of them: see ``TileLog.enter``.
        """
        fresh: dict[str, bytes] = {}
        refused: dict[int, EntryRefusedError] = {}
        stored = self._log.stored([entry_id for one in submissions for entry_id, _ in one.records])
        for number, submission in enumerate(submissions):
            try:
                _admit(submission.records, fresh, stored)
            except EntryRefusedError as error:
                refused[number] = error
        known = {entry_id: position for entry_id, (position, _) in stored.items()}
        if fresh:
            known |= dict(zip(fresh, self._enter(list(fresh.items())), strict=True))
        signed = self._log.open()
        self._log.require()  # whoever lost the right to sign while it wrote tells nobody
        return [
            refused.get(number) or self._forget(submission.records) or self._receipt(submission, known, signed)
            for number, submission in enumerate(submissions)
        ]

    def _forget(self, records: list[Record]) -> SovereignError | None:
        """Whoever ``records`` say is erased: what is kept apart of them is, before anybody is told that it is."""
        try:
            for subject in erased_in(entry for _, entry in records):
                self._log.forget(subject)
        except AuditUnavailableError as error:
            return error
        return None

    def _receipt(self, submission: Submission, known: dict[str, int], signed: Signed) -> Receipt:
        positions = [known[entry_id] for entry_id, _ in submission.records]
        if not submission.proven:
            return Receipt(positions, signed)
        try:
            return Receipt(positions, signed, self._log.prove(positions))
        except LogInconsistentError:  # a tile is damaged: what was handed in is durable all the same
            return Receipt(positions, signed)

    def _enter(self, records: list[Record]) -> list[int]:
        try:
            return self._log.enter(records)
        except JournalFullError:  # callers came faster than the disk settles
            self._log.settle()
        try:
            return self._log.enter(records)
        except JournalFullError:  # more than a segment holds
            return self._log.append(records)


def _admit(records: list[Record], fresh: dict[str, bytes], stored: dict[str, tuple[int, bytes]]) -> None:
    """Add what is new of one submission to ``fresh``; nothing of it when any of its ids names another event."""
    mine = dict(records)
    if len(mine) == len(records) and stored.keys().isdisjoint(mine) and fresh.keys().isdisjoint(mine):
        fresh |= mine  # nearly always
        return
    mine = {}
    for entry_id, entry in records:
        known = stored.get(entry_id)
        twin = known[1] if known else fresh.get(entry_id) or mine.get(entry_id)
        if twin is None:
            mine[entry_id] = entry
        elif not same_event(twin, entry):
            raise IdReusedError(f"id {entry_id!r} is already used by a different entry")
    fresh |= mine
