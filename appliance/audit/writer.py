"""Group commit: callers wait together, one thread writes for all of them with one durable write and one signature.

While a commit runs, further submissions gather; the next commit takes all of them up to a bound. Where many wait, it
also waits a little for those who were just answered (``crowd``): a disk that takes long takes twice as many for the
same. Who comes alone is not handed to the thread and back, which takes two wake-ups of a processor: their entry is
committed where it was read. What one commit does is in ``committing``; what commits put into the journal goes into
tiles a moment later (``settler``).
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from appliance.audit.committing import GroupCommit, Receipt, Submission
from appliance.audit.crowd import Crowd
from appliance.audit.errors import AuditUnavailableError
from appliance.audit.settler import Settler
from appliance.errors import SovereignError

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.audit.apart import Item
    from appliance.audit.commit import Record
    from appliance.audit.log import TileLog
    from appliance.audit.ocsf import Event
    from appliance.audit.settling import Signed

MAX_COMMIT_ENTRIES = 4096
MAX_COMMIT_BYTES = 16 << 20
MAX_WAITING_BYTES = 64 << 20
MAX_CLOSED_AT_ONCE = 1024
_NEARLY_FULL = 0.9
"""Of the journal's segment: then a commit may have to wait for tiles."""
P = ParamSpec("P")
T = TypeVar("T")


class GroupWriter:
    """Owns a ``TileLog`` and the thread that it lives in. Use within one event loop; ``close`` ends it."""

    def __init__(self, log: TileLog) -> None:
        self._log = log
        self._commit = GroupCommit(log).commit
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="audit-writer")
        self._owned = threading.Lock()  # the log is one thread's at a time
        self._waiting: deque[Submission] = deque()
        self._waiting_bytes = 0
        self._crowd = Crowd()
        self._calm = True
        """Whether the last commit was of a single entry."""
        self._running: asyncio.Task[None] | None = None
        self._settler = Settler(log, self._in_thread)
        self.failure: SovereignError | None = None

    @property
    def settled(self) -> Signed | None:
        """The checkpoint whose tree lies in tiles, or None while the log is not open."""
        return self._log.settled

    @property
    def clock_behind(self) -> int:
        """As ``TileLog.clock_behind``."""
        return self._log.clock_behind

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

    def put(self, records: list[Record], *, proven: bool = False) -> asyncio.Future[Receipt]:
        """As ``submit``, for who waits otherwise. What is put first lies first in the log. ``proven``: with proofs."""
        size = sum(len(entry) for _, entry in records)
        submission = Submission(records, size, asyncio.get_running_loop().create_future(), proven)
        if self._waiting_bytes + size > MAX_WAITING_BYTES:
            submission.done.set_exception(
                AuditUnavailableError("the audit writer is overloaded", "try again in a moment")
            )
            return submission.done
        self._waiting.append(submission)
        self._waiting_bytes += size
        self._crowd.arrive(len(records))
        if self._running is None:
            self._running = asyncio.create_task(self._drain())
        return submission.done

    def require(self) -> None:
        """As ``TileLog.require``."""
        self._log.require()

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

    async def prune(self, end: int, index: int) -> None:
        """As ``TileLog.prune``."""
        await self._in_thread(self._log.prune, end, index)

    async def put_back(self, index: int, bundle: bytes) -> None:
        """As ``TileLog.put_back``."""
        await self._in_thread(self._log.put_back, index, bundle)

    async def keep(self, sent: list[tuple[str, Event]], sender: int | None) -> list[Record]:
        """The records of what ``sender`` hands in, their long texts kept apart, durably. Raises as ``TileLog.keep``."""
        return await self._in_thread(lambda: [self._log.keep(entry_id, event, sender) for entry_id, event in sent])

    async def read_apart(self, entry: bytes) -> list[tuple[Item, bytes, str]]:
        """As ``TileLog.read_apart``."""
        return await self._in_thread(self._log.read_apart, entry)

    async def close(self) -> None:
        """Finish what was submitted, then release the log."""
        if self._running is not None:
            await self._running
        await self._settler.stop()
        await self._in_thread(self._log.close)
        self._thread.shutdown()
        self._settler.shutdown()

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def owned() -> T:
            with self._owned:
                return work(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._thread, owned)

    async def _committed(self, batch: list[Submission]) -> list[Receipt | SovereignError]:
        """The outcomes of ``batch``, which is committed in the thread; or here, where single entries come.

        While that lasts nothing is read: whoever comes meanwhile finds company. What needs the log waits either way.
        What may take long is for the thread: reading the log at first or after a failure, and making room.
        """
        alone = len(batch) == 1 == len(batch[0].records) and not self._waiting
        if alone and self._calm and self._owned.acquire(blocking=False):
            try:
                if self._log.signed is not None and self._log.filling < _NEARLY_FULL:
                    return self._commit(batch)
            finally:
                self._owned.release()
        return await self._in_thread(self._commit, batch)

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        batch: list[Submission] = []
        try:
            while self._waiting:
                await self._crowd.gather()
                batch = self._take()
                begin = loop.time()
                try:
                    outcomes = await self._committed(batch)
                except SovereignError as error:
                    self.failure = error
                    outcomes = [error] * len(batch)
                else:
                    self.failure = None
                _settle(batch, outcomes)
                count = sum(len(one.records) for one in batch)
                self._calm = count == 1
                self._crowd.answered(count, loop.time() - begin)
                self._settler.plan()
        finally:
            self._running = None
            self._abandon(batch)

    def _take(self) -> list[Submission]:
        batch: list[Submission] = []
        entries = size = 0
        while self._waiting:
            following = self._waiting[0]
            entries, size = entries + len(following.records), size + following.size
            if batch and (entries > MAX_COMMIT_ENTRIES or size > MAX_COMMIT_BYTES):
                break
            batch.append(self._waiting.popleft())
            self._waiting_bytes -= following.size
        self._crowd.taken(sum(len(one.records) for one in batch))
        return batch

    def _abandon(self, batch: list[Submission]) -> None:
        """After a defect in the loop above nobody may wait for ever; otherwise there is nobody left."""
        for submission in [*batch, *self._waiting]:
            if not submission.done.done():
                submission.done.set_exception(AuditUnavailableError("the audit writer stopped"))
        self._waiting.clear()
        self._waiting_bytes = 0
        self._crowd.clear()

    async def settle(self) -> Signed:
        """Have everything in tiles now; the checkpoint over it. Raises as ``open``."""
        await self.open()
        await self._in_thread(self._log.settle)
        settled = self._log.settled
        assert settled is not None
        return settled


def _settle(batch: list[Submission], outcomes: list[Receipt | SovereignError]) -> None:
    for submission, outcome in zip(batch, outcomes, strict=True):
        if submission.done.done():  # its caller went away; the entry stays
            continue
        if isinstance(outcome, SovereignError):
            submission.done.set_exception(outcome)
        else:
            submission.done.set_result(outcome)
