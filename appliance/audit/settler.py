"""What commits put into the journal goes into tiles a moment later, in a thread of its own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

import structlog

from appliance.errors import SovereignError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from appliance.audit.log import TileLog

SETTLE_SECONDS = 0.5
_FULL_ENOUGH = 0.5
_log = structlog.get_logger(__name__)
T = TypeVar("T")


class InThread(Protocol):
    """Has the log's own thread do something."""

    def __call__(self, work: Callable[..., T], *args: object) -> Awaitable[T]:
        """What ``work`` gives, done there."""


class Settler:
    """Empties the journal of ``log`` again and again; ``in_thread`` is the thread that the log lives in."""

    def __init__(self, log: TileLog, in_thread: InThread) -> None:
        self._log = log
        self._in_thread = in_thread
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="audit-settler")
        self._settling: asyncio.Task[None] | None = None
        self._closing = False
        self._refused = False

    def plan(self) -> None:
        """Soon; at once when the journal's segment fills, unless the disk refused the last time."""
        if self._settling is not None:
            return
        delay = 0.0 if self._log.filling > _FULL_ENOUGH and not self._refused else SETTLE_SECONDS
        self._settling = asyncio.create_task(self._settle_after(delay))

    async def stop(self) -> None:
        """Begin nothing more. What a thread writes at the moment it goes on writing, until ``shutdown``."""
        self._closing = True
        if self._settling is not None:
            self._settling.cancel()
            await asyncio.wait([self._settling])

    def shutdown(self) -> None:
        """Wait for the thread to end."""
        self._thread.shutdown()

    async def _settle_after(self, seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
            settlement = await self._in_thread(self._log.begin_settling)
            if settlement is None:
                self._note(None)
                return
            error: OSError | None = None
            try:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._thread, self._log.write_settlement, settlement)
            except OSError as failed:
                error = failed
            await self._in_thread(self._log.end_settling, settlement, error)
            self._note(str(error) if error else None)
        except SovereignError as failed:
            self._note(failed.cause)
        finally:
            self._settling = None
            if self._log.unsettled and not self._closing:
                self.plan()

    def _note(self, cause: str | None) -> None:
        if cause is not None and not self._refused:
            _log.warning("the journal could not be emptied", cause=cause)
        self._refused = cause is not None
