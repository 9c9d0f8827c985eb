"""Answers under way, so that a shutdown can wait for them, and then break them off in good order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from appliance.gateway import tally
from appliance.gateway.errors import NotReadyError

if TYPE_CHECKING:
    from appliance.gateway.answers import Answer

_log = structlog.get_logger(__name__)


class Running:
    """The set of answers under way; once draining, no new one is taken."""

    def __init__(self) -> None:
        self._answers: dict[asyncio.Task[None], Answer] = {}
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def draining(self) -> bool:
        """Whether this gateway is on its way out."""
        return self._draining

    @property
    def count(self) -> int:
        """How many answers are under way."""
        return len(self._answers)

    def check_open(self) -> None:
        """Raises ``NotReadyError`` when no new answer is taken."""
        if self._draining:
            raise NotReadyError("this gateway is shutting down", "ask again", code="draining", retry_after=2)

    def add(self, answer: Answer) -> None:
        """Keep the answer's task alive until it is done."""
        self._answers[answer.task] = answer
        self._idle.clear()
        answer.task.add_done_callback(self._done)

    async def idle(self) -> None:
        """Wait until no answer is under way."""
        await self._idle.wait()

    async def drain(self, seconds: float, closing_seconds: float = 5.0) -> None:
        """Take no more; let answers finish for ``seconds``, then interrupt them and wait for their log entries."""
        self._draining = True
        if self._answers:
            await asyncio.wait(self._answers, timeout=seconds)
        for answer in self._answers.values():
            answer.stop(tally.INTERRUPTED)
        if self._answers:
            await asyncio.wait(self._answers, timeout=closing_seconds)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._answers[task]
        if not self._answers:
            self._idle.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("answer broke", task=task.get_name(), exc_info=error)
