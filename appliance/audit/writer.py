"""Group commit: callers wait together, one thread writes for all of them under one fsync and one signature.

While a commit runs, further submissions gather; the next commit takes all of them up to a bound. A submission is one
caller's list of entries and succeeds or fails as a whole, without harming those that share its commit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from appliance.audit.entry import same_event
from appliance.audit.errors import AuditUnavailableError, EntryRefusedError, IdReusedError
from appliance.errors import SovereignError

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.audit.log import Record, Signed, TileLog

MAX_COMMIT_ENTRIES = 4096
MAX_COMMIT_BYTES = 16 << 20
MAX_WAITING_BYTES = 64 << 20
MAX_CLOSED_AT_ONCE = 1024
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Receipt:
    """Where a submission's entries lie, and the durable checkpoint that covers them."""

    positions: list[int]
    signed: Signed


@dataclass
class _Submission:
    records: list[Record]
    size: int
    done: asyncio.Future[Receipt]


class GroupWriter:
    """Owns a ``TileLog`` and the thread that it lives in. Use within one event loop; ``close`` ends it."""

    def __init__(self, log: TileLog) -> None:
        self._log = log
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="audit-writer")
        self._waiting: deque[_Submission] = deque()
        self._waiting_bytes = 0
        self._running: asyncio.Task[None] | None = None
        self.failure: SovereignError | None = None

    @property
    def signed(self) -> Signed | None:
        """The last durable checkpoint, or None while the log is not open."""
        return self._log.signed

    async def submit(self, records: list[Record]) -> Receipt:
        """Append ``records`` in their order. Returns when they are durable and signed, raises otherwise.

        ``EntryRefusedError``: an id names another event. ``LogFullError``, ``AuditUnavailableError``: try again.
        ``LogInconsistentError``: the log on disk is not the log that was signed; nothing is appended any more.
        """
        return await self.put(records)

    def put(self, records: list[Record]) -> asyncio.Future[Receipt]:
        """As ``submit``, for who waits otherwise. What is put first lies first in the log."""
        size = sum(len(entry) for _, entry in records)
        submission = _Submission(records, size, asyncio.get_running_loop().create_future())
        if self._waiting_bytes + size > MAX_WAITING_BYTES:
            submission.done.set_exception(
                AuditUnavailableError("the audit writer is overloaded", "try again in a moment")
            )
            return submission.done
        self._waiting.append(submission)
        self._waiting_bytes += size
        if self._running is None:
            self._running = asyncio.create_task(self._drain())
        return submission.done

    async def open(self) -> Signed:
        """Make sure that the log is open: at start, and to find out whether a failure is over."""
        try:
            signed = await self._in_thread(self._log.open)
        except SovereignError as error:
            self.failure = error
            raise
        self.failure = None
        return signed

    async def open_requests(self, wanted: Callable[[str], bool]) -> list[tuple[str, int, bytes]]:
        """As ``TileLog.open_requests``, as many as one round of ending them takes."""
        return await self._in_thread(self._log.open_requests, wanted, MAX_CLOSED_AT_ONCE)

    async def count_open(self) -> int:
        """How many requests have no end yet."""
        return await self._in_thread(self._log.count_open)

    async def forget_request(self, request: str) -> None:
        """As ``TileLog.forget_request``."""
        await self._in_thread(self._log.forget_request, request)

    async def close(self) -> None:
        """Finish what was submitted, then release the log."""
        if self._running is not None:
            await self._running
        await self._in_thread(self._log.close)
        self._thread.shutdown()

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **_: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        batch: list[_Submission] = []
        try:
            while self._waiting:
                batch = self._take()
                try:
                    outcomes = await loop.run_in_executor(self._thread, self._commit, [s.records for s in batch])
                except SovereignError as error:
                    self.failure = error
                    outcomes = [error] * len(batch)
                else:
                    self.failure = None
                _settle(batch, outcomes)
        finally:
            self._running = None
            self._abandon(batch)

    def _take(self) -> list[_Submission]:
        batch: list[_Submission] = []
        entries = size = 0
        while self._waiting:
            following = self._waiting[0]
            entries, size = entries + len(following.records), size + following.size
            if batch and (entries > MAX_COMMIT_ENTRIES or size > MAX_COMMIT_BYTES):
                break
            batch.append(self._waiting.popleft())
            self._waiting_bytes -= following.size
        return batch

    def _abandon(self, batch: list[_Submission]) -> None:
        """After a defect in the loop above nobody may wait for ever; otherwise there is nobody left."""
        for submission in [*batch, *self._waiting]:
            if not submission.done.done():
                submission.done.set_exception(AuditUnavailableError("the audit writer stopped"))
        self._waiting.clear()
        self._waiting_bytes = 0

    def _commit(self, submissions: list[list[Record]]) -> list[Receipt | SovereignError]:
        """In the writer's thread: sort out what is logged already and what may not be, then commit the rest at once."""
        fresh: dict[str, bytes] = {}
        known: dict[str, int] = {}
        refused: dict[int, EntryRefusedError] = {}
        for number, records in enumerate(submissions):
            try:
                self._admit(records, fresh, known)
            except EntryRefusedError as error:
                refused[number] = error
        signed = self._log.open()
        if fresh:
            positions = self._log.append(list(fresh.items()))
            known |= dict(zip(fresh, positions, strict=True))
            signed = self._log.open()
        return [
            refused.get(number) or Receipt([known[entry_id] for entry_id, _ in records], signed)
            for number, records in enumerate(submissions)
        ]

    def _admit(self, records: list[Record], fresh: dict[str, bytes], known: dict[str, int]) -> None:
        """Add what is new of one submission to ``fresh``; nothing of it when any of its ids names another event."""
        mine: dict[str, bytes] = {}
        found = self._log.find(records)
        for entry_id, entry in records:
            twin = fresh.get(entry_id) or mine.get(entry_id)
            if twin is not None and not same_event(twin, entry):
                raise IdReusedError(f"id {entry_id!r} is already used by a different entry")
            if twin is None and entry_id not in found:
                mine[entry_id] = entry
        fresh |= mine
        known |= found


def _settle(batch: list[_Submission], outcomes: list[Receipt | SovereignError]) -> None:
    for submission, outcome in zip(batch, outcomes, strict=True):
        if submission.done.done():  # its caller went away; the entry stays
            continue
        if isinstance(outcome, SovereignError):
            submission.done.set_exception(outcome)
        else:
            submission.done.set_result(outcome)
