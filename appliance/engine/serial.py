"""The first engine: one request at a time, in order of arrival.

Threads: ``submit``, ``status`` and ``drain`` run on the event loop; prompts are tokenised on a worker thread; one owner
thread touches the context. Events cross from the owner thread to the loop by ``call_soon_threadsafe`` alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from typing import TYPE_CHECKING

from appliance.engine.context import Sampling
from appliance.engine.errors import EngineRefusedError
from appliance.engine.generation import Generation, Job
from appliance.engine.grammar import grammar_of
from appliance.engine.protocol import Admitted, End, Event, Failed, QueueStatus, Request
from appliance.engine.queue import AdmissionQueue

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from appliance.engine.context import Context
    from appliance.engine.energy import DeclaredDraw
    from appliance.engine.metrics import EngineMetrics
    from appliance.engine.prompt import PromptReader

_SEEDS = 0xFFFF_FFFF  # llama.cpp takes 32 bits, and the highest value means "random" there
_POLL_S = 0.05


class SerialEngine:
    """Implements ``appliance.engine.protocol.Engine``. Call ``start`` once before ``submit``, ``stop`` once after."""

    def __init__(
        self,
        context: Context,
        prompts: PromptReader,
        *,
        queue_limit: int,
        draw: DeclaredDraw,
        metrics: EngineMetrics,
    ) -> None:
        self._context = context
        self._prompts = prompts
        self._queue: AdmissionQueue[Job] = AdmissionQueue(queue_limit)
        self._draw = draw
        self._metrics = metrics
        self._current: Job | None = None
        self._owner = threading.Thread(target=self._own, name="engine-owner", daemon=True)

    def start(self) -> None:
        """Start the owner thread."""
        self._owner.start()

    def stop(self) -> None:
        """Cancel what is left and wait for the owner thread."""
        self._queue.close()
        self._cancel_all()
        self._owner.join()

    @property
    def alive(self) -> bool:
        """Whether the owner thread still works; false for good after a defect in it."""
        return self._owner.is_alive()

    def status(self) -> QueueStatus:
        """See ``Engine.status``."""
        return self._queue.status()

    async def submit(self, request: Request) -> AsyncGenerator[Event, None]:
        """See ``Engine.submit``."""
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event] = asyncio.Queue()
        seed = secrets.randbelow(_SEEDS) if request.seed is None else request.seed
        job = await asyncio.to_thread(self._prepare, request, seed)
        job.emit = lambda event: _hand_over(loop, events, event)
        try:
            position = self._queue.put(job)
            self._metrics.queue(self._queue.status())
            yield Admitted(position, len(job.tokens), seed)
            while True:
                event = await events.get()
                yield event
                if isinstance(event, End | Failed):
                    return
        finally:
            job.cancelled.set()
            if self._queue.withdraw(job):
                self._metrics.ended("cancelled")
            self._metrics.queue(self._queue.status())

    def _prepare(self, request: Request, seed: int) -> Job:
        """Everything that can refuse a request, before it takes a place in the queue."""
        grammar = None if request.json_schema is None else grammar_of(request.json_schema)
        if grammar is not None and not self._context.check_grammar(grammar):
            raise EngineRefusedError("invalid_json_schema", "the schema's grammar cannot be used")
        tokens = self._prompts.tokens(request)
        limit = self._context.context_tokens
        if not tokens:
            raise EngineRefusedError("empty_prompt", "the prompt holds no token")
        if len(tokens) >= limit:
            raise EngineRefusedError(
                "context_length_exceeded",
                f"the prompt has {len(tokens)} tokens and the model's context holds {limit}, answer included",
            )
        return Job(
            tokens=tokens,
            sampling=Sampling(request.temperature, request.top_p, request.top_k, seed % _SEEDS, grammar),
            stops=self._prompts.stops(request),
            max_tokens=request.max_tokens,
            emit=lambda _event: None,
        )

    async def drain(self, bound_s: float) -> None:
        """See ``Engine.drain``."""
        self._queue.close()
        deadline = time.monotonic() + bound_s
        while self.alive and ((status := self._queue.status()).running or status.waiting):
            if time.monotonic() >= deadline:
                self._cancel_all()
                deadline = float("inf")
            await asyncio.sleep(_POLL_S)

    def _cancel_all(self) -> None:
        """What waits is still taken, and ends as cancelled before its first decode."""
        for job in (*self._queue.waiting(), self._current):
            if job is not None:
                job.cancelled.set()

    def _own(self) -> None:
        """The owner thread: the only caller of the context's owner functions.

        A defect that escapes a request ends the thread; everyone who waits is told, and health turns bad.
        """
        try:
            while (job := self._queue.take()) is not None:
                self._current = job
                begun = time.monotonic()
                last = Generation(self._context, job, self._draw).run()
                self._current = None
                self._queue.finished(time.monotonic() - begun)
                self._metrics.finished(last)
                job.emit(last)
        finally:
            self._queue.close()
            for left in (self._current, *self._queue.waiting()):
                if left is not None:
                    left.emit(Failed("engine_stopped", "the engine stopped while this request was open"))


def _hand_over(loop: asyncio.AbstractEventLoop, events: asyncio.Queue[Event], event: Event) -> None:
    """Give ``event`` to the loop; a loop that has closed has no reader left."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(events.put_nowait, event)
