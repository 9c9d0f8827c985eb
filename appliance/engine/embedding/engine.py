"""Vectors of texts: requests in, one vector for each text out, in batches that requests share.

Threads as in ``batching``: texts are tokenised on worker threads, one owner thread computes. A batch that fails is
tried again request by request, so that a failure stays with whom it concerns.
"""

from __future__ import annotations

import asyncio
import threading
import time
from array import array
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from appliance.engine.admission import AdmissionQueue
from appliance.engine.context import Sampling
from appliance.engine.embedding.packing import packed
from appliance.engine.energy import Watch
from appliance.engine.errors import DecodeError, EngineRefusedError
from appliance.engine.job import BATCH, INTERACTIVE, Job
from appliance.engine.metering import Meter
from appliance.engine.outbox import Outbox
from appliance.engine.protocol import Admitted, End, Event, Failed, QueueStatus, Request, Vectors

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from appliance.engine.energy import Draw
    from appliance.engine.metrics import EngineMetrics

TOGETHER = 8
"""Requests whose texts share batches."""
MAX_INPUTS = 256
MAX_TOKENS = 65_536
"""Of all texts of a request: what waits in the queue is bounded, too."""
_UNDRAWN = Sampling(0.0, 1.0, None, 0, None)
_POLL_S = 0.05


class Embedder(Protocol):
    """A loaded model that makes vectors. ``embed`` is the owner thread's; the rest may be called from any."""

    @property
    def text_tokens(self) -> int:
        """The longest text."""

    @property
    def batch_tokens(self) -> int:
        """The most tokens of one ``embed``; at least ``text_tokens``."""

    @property
    def batch_texts(self) -> int:
        """The most texts of one ``embed``."""

    def tokenize(self, text: str, *, control: bool, begin: bool) -> list[int]:
        """Token ids, with what the model wants around a text."""

    def embed(self, texts: Sequence[Sequence[int]]) -> list[bytes]:
        """A vector of length 1 for each text: float32, little-endian. Raises ``DecodeError``."""


@dataclass(eq=False)
class _Work:
    """A request at work: what is left of it, and what is done."""

    job: Job
    meter: Meter
    left: deque[Sequence[int]]
    done: list[bytes] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)


class EmbeddingEngine:
    """Implements ``appliance.engine.protocol.Engine``. Call ``start`` once before ``submit``, ``stop`` once after."""

    def __init__(self, model: Embedder, *, queue_limit: int, draw: Draw, metrics: EngineMetrics) -> None:
        self._model = model
        self._draw = draw
        self._metrics = metrics
        self._queue = AdmissionQueue(queue_limit, TOGETHER)
        self._outbox = Outbox()
        self._works: list[_Work] = []
        self._owner = threading.Thread(target=self._own, name="engine-owner", daemon=True)

    def start(self) -> None:
        """Start the owner thread."""
        self._owner.start()

    def stop(self) -> None:
        """Cancel what is left and wait for the owner thread."""
        self._queue.close()
        while self._owner.is_alive():
            self._cancel_all()
            self._owner.join(_POLL_S)

    @property
    def alive(self) -> bool:
        """Whether the owner thread still works."""
        return self._owner.is_alive()

    def status(self) -> QueueStatus:
        """See ``Engine.status``."""
        return self._queue.status()

    async def submit(self, request: Request) -> AsyncGenerator[Event, None]:
        """See ``Engine.submit``: ``Admitted``, ``Vectors``, then ``End``; or ``Failed``."""
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event] = asyncio.Queue()
        inputs = await asyncio.to_thread(self._tokenised, request)
        count = sum(map(len, inputs))
        job = Job(
            tokens=(),
            sampling=_UNDRAWN,
            stops=(),
            max_tokens=0,
            emit=lambda event: self._outbox.put(loop, events, event),
            user=request.user,
            weight=request.weight,
            rank=INTERACTIVE if request.priority >= 0 else BATCH,
            inputs=inputs,
        )
        try:
            position = self._queue.put(job)
            self._metrics.queue(self._queue.status())
            yield Admitted(position, count, 0)
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

    def _tokenised(self, request: Request) -> tuple[array[int], ...]:
        if request.inputs is None:
            raise EngineRefusedError("not_a_chat_model", "the model makes vectors of texts, and answers no questions")
        if not 0 < len(request.inputs) <= MAX_INPUTS:
            raise EngineRefusedError("invalid_request", f"a request has between 1 and {MAX_INPUTS} texts")
        if request.adapter is not None:
            raise EngineRefusedError("unknown_adapter", "a model that makes vectors has no adapters")
        found: list[array[int]] = []
        for number, text in enumerate(request.inputs):
            if not text.strip():
                raise EngineRefusedError("empty_prompt", f"text {number} is empty")
            tokens = array("i", self._model.tokenize(text, control=False, begin=True))
            if len(tokens) > self._model.text_tokens:
                raise EngineRefusedError(
                    "context_length_exceeded",
                    f"text {number} has {len(tokens)} tokens, and the model takes {self._model.text_tokens}",
                )
            found.append(tokens)
        if sum(map(len, found)) > MAX_TOKENS:
            raise EngineRefusedError("request_too_large", f"the texts have more than {MAX_TOKENS} tokens together")
        return tuple(found)

    async def drain(self, bound_s: float) -> None:
        """See ``Engine.drain``."""
        self._queue.close()
        deadline = time.monotonic() + bound_s
        while self.alive and ((status := self._queue.status()).running or status.waiting):
            if time.monotonic() >= deadline:
                self._cancel_all()
            await asyncio.sleep(_POLL_S)

    def _cancel_all(self) -> None:
        for job in (*self._queue.waiting(), *(work.job for work in self._works)):
            job.cancelled.set()

    def _own(self) -> None:
        """The owner thread. A defect that escapes a request ends it; everyone who waits is told."""
        try:
            while self._works or self._queue.wait():
                self._admit()
                self._step()
                self._outbox.flush()
        finally:
            self._queue.close()
            for job in (*(work.job for work in self._works), *self._queue.waiting()):
                job.emit(Failed("engine_stopped", "the engine stopped while this request was open"))
            self._outbox.flush()

    def _admit(self) -> None:
        """Work that nobody waits for takes no place from work that somebody does."""
        while (job := self._queue.next()) is not None:
            if sum(work.job.rank <= job.rank for work in self._works) >= TOGETHER:
                return
            if self._queue.take(job):
                meter = Meter(job.queued_at, sum(map(len, job.inputs)), self._draw)
                work = _Work(job, meter, deque(job.inputs))
                meter.started(work.begun)
                self._works.append(work)

    def _step(self) -> None:
        for work in [one for one in self._works if one.job.cancelled.is_set()]:
            self._leave(work, work.meter.end("cancelled"))
        ready = [work for work in self._works if work.job.rank == min(w.job.rank for w in self._works)]
        lines = [[len(text) for text in work.left] for work in ready]
        counts = packed(lines, tokens=self._model.batch_tokens, texts=self._model.batch_texts)
        plan = [(work, text) for work, count in zip(ready, counts, strict=True) for text in list(work.left)[:count]]
        if plan:
            self._works.append(self._works.pop(0))  # another one begins the next batch
            self._compute(plan)
        for work in [one for one in self._works if not one.left]:
            work.meter.seen(time.monotonic())
            work.job.emit(Vectors(tuple(work.done)))
            self._leave(work, work.meter.end("stop"))

    def _compute(self, plan: list[tuple[_Work, Sequence[int]]]) -> None:
        watch, rows = Watch(self._draw), sum(len(text) for _, text in plan)
        try:
            vectors = self._model.embed([text for _, text in plan])
        except DecodeError as error:
            if len({work.job for work, _ in plan}) == 1:
                self._leave(plan[0][0], Failed("decode_failed", error.cause))
                return
            for work in {work for work, _ in plan}:
                self._compute([one for one in plan if one[0] is work])
            return
        cost = watch.cost()
        self._metrics.step(cost.seconds, prompt_rows=rows, decode_rows=0)
        for (work, text), vector in zip(plan, vectors, strict=True):
            work.left.popleft()
            work.done.append(vector)
            work.meter.step(cost, len(text), rows)

    def _leave(self, work: _Work, last: End | Failed) -> None:
        self._works.remove(work)
        self._queue.finished(work.job, time.monotonic() - work.begun)
        self._metrics.finished(last)
        work.job.emit(last)
