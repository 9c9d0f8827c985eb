"""The engine: many requests on one context, by continuous batching.

Threads: ``submit``, ``status`` and ``drain`` run on the event loop; prompts are tokenised on a worker thread; one owner
thread touches the context. Events cross from the owner thread to the loop once a step, all of them together: at its
end, or, where a GPU computes the next one by itself, once that has its work: waking the loop costs no stream anything.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import threading
import time
from typing import TYPE_CHECKING

from appliance.engine import pace
from appliance.engine.admission import AdmissionQueue
from appliance.engine.batcher import Batcher
from appliance.engine.context import Sampling
from appliance.engine.errors import EngineRefusedError
from appliance.engine.grammar import grammar_of
from appliance.engine.job import BATCH, INTERACTIVE, Job, Owner, Passage
from appliance.engine.outbox import Outbox
from appliance.engine.protocol import Admitted, End, Event, Failed, QueueStatus, Request
from appliance.engine.tiers import EngineTiers, Row
from appliance.engine.tools.reader import CallReader, told_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from appliance.engine.context import Context
    from appliance.engine.energy import Draw
    from appliance.engine.held import Held
    from appliance.engine.kv.shelf import KvShelf
    from appliance.engine.metrics import EngineMetrics
    from appliance.engine.prompt import PromptReader
    from appliance.engine.scheduler import Limits
    from appliance.engine.tools.offer import Offer

_SEEDS = 0xFFFF_FFFF  # llama.cpp takes 32 bits, and the highest value means "random" there
_POLL_S = 0.05


class BatchingEngine:
    """Implements ``appliance.engine.protocol.Engine``. Call ``start`` once before ``submit``, ``stop`` once after.

    At most ``slots`` requests are computed side by side, and ``queue_limit`` wait.
    """

    def __init__(  # noqa: PLR0913 - what an engine is made of, named at the one call
        self,
        context: Context,
        prompts: PromptReader,
        *,
        slots: int,
        queue_limit: int,
        draw: Draw,
        metrics: EngineMetrics,
        shelf: KvShelf | None = None,
        pinned_tokens: int | None = 0,
        limits: Limits = pace.PROCESSOR,
    ) -> None:
        self._context = context
        self._prompts = prompts
        self._metrics = metrics
        self._queue = AdmissionQueue(queue_limit, slots)
        self._outbox = Outbox()
        self._batcher = Batcher(
            context,
            self._queue,
            slots=slots,
            chunk_tokens=limits.chunk_tokens,
            apart_tokens=limits.apart_tokens,
            draw=draw,
            metrics=metrics,
            shelf=shelf,
            pinned_tokens=pinned_tokens,
            deliver=self._outbox.flush,
        )
        self._owner = threading.Thread(target=self._own, name="engine-owner", daemon=True)
        self._began = time.monotonic()

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
        """Whether the owner thread still works; false for good after a defect in it."""
        return self._owner.is_alive()

    @property
    def pinned(self) -> tuple[int, int]:
        """How many instructions stay in memory, and their tokens."""
        return self._batcher.accounts.pinned

    @property
    def most_pinned(self) -> int:
        """The most tokens that may stay."""
        return self._batcher.most_pinned

    def tiers(self, cell_bytes: int) -> EngineTiers:
        """What lies where, as ``GET /memory`` says it; a cell takes ``cell_bytes``. Any thread."""
        shown, now = self._batcher.accounts.shown, time.monotonic()
        cells = [_row(held, now, held.tokens * cell_bytes) for held in shown.rows]
        disk = [_row(held, time.time(), held.size) for held in self._batcher.kept()]
        return EngineTiers(now - self._began, self._context.cells, (*cells, *disk), shown.prefill)

    def status(self) -> QueueStatus:
        """See ``Engine.status``."""
        return self._queue.status()

    async def submit(self, request: Request) -> AsyncGenerator[Event, None]:
        """See ``Engine.submit``."""
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event] = asyncio.Queue()
        seed = secrets.randbelow(_SEEDS) if request.seed is None else request.seed
        offer = await asyncio.to_thread(self._prompts.offer, request)
        reader = None if offer is None else CallReader(offer.family)
        job = await asyncio.to_thread(self._prepare, request, seed, offer)
        job.emit = lambda event: self._outbox.put(loop, events, event)
        try:
            position = self._queue.put(job)
            self._batcher.hurry(job)
            self._metrics.queue(self._queue.status())
            yield Admitted(position, len(job.tokens), seed)
            while True:
                event = await events.get()
                for told in (event,) if reader is None else told_of(event, reader):
                    yield told
                if isinstance(event, End | Failed):
                    return
        finally:
            job.cancelled.set()
            if self._queue.withdraw(job):
                self._metrics.ended("cancelled")
            self._metrics.queue(self._queue.status())

    def _prepare(self, request: Request, seed: int, offer: Offer | None) -> Job:
        """Everything that can refuse a request, before it takes a place in the queue."""
        if request.inputs is not None:
            raise EngineRefusedError("not_an_embedding_model", "the model answers questions, and makes no vectors")
        if request.adapter is not None and request.adapter not in self._context.adapters:
            raise EngineRefusedError(
                "unknown_adapter", f"the model is not served with an adapter {request.adapter!r:.130}"
            )
        grammar = None if request.json_schema is None else grammar_of(request.json_schema)
        if offer is not None:
            grammar = offer.grammar
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
            user=request.user,
            weight=request.weight,
            rank=INTERACTIVE if request.priority >= 0 else BATCH,
            alone=request.replay,
            kept=request.kept,
            adapter=request.adapter or "",
            top_logprobs=request.top_logprobs,
            passages=() if request.replay else self._passages(request, tokens),
        )

    def _passages(self, request: Request, tokens: tuple[int, ...]) -> tuple[Passage, ...]:
        """What of the prompt may be shared with whom; the user's passage comes last and is the whole."""
        site, group = self._prompts.shared(request, tokens)
        adapter = request.adapter or ""
        shared = [
            (Owner("site", "", adapter), site),
            (Owner("group", request.group, adapter), group if group > site else 0),
        ]
        return (
            *(Passage(owner, length) for owner, length in shared if length),
            Passage(Owner("user", request.user, adapter), sys.maxsize),
        )

    async def drain(self, bound_s: float) -> None:
        """See ``Engine.drain``."""
        self._queue.close()
        deadline = time.monotonic() + bound_s
        while self.alive and ((status := self._queue.status()).running or status.waiting):
            if time.monotonic() >= deadline:
                self._cancel_all()
            await asyncio.sleep(_POLL_S)

    def _cancel_all(self) -> None:
        """What waits or runs ends as cancelled with the next step."""
        for job in (*self._queue.waiting(), *self._batcher.running):
            job.cancelled.set()

    def _own(self) -> None:
        """The owner thread: the only caller of the context's owner functions.

        A defect that escapes a request ends the thread; everyone who waits is told, and health turns bad.
        """
        try:
            self._batcher.preload()
            while self._batcher.running or self._batcher.pending or self._queue.wait():
                if not self._batcher.step():
                    self._outbox.flush()
            self._batcher.close()
        finally:
            self._queue.close()
            for left in (*self._batcher.running, *self._queue.waiting()):
                left.emit(Failed("engine_stopped", "the engine stopped while this request was open"))
            self._outbox.flush()


def _row(held: Held, now: float, size: int) -> Row:
    oldest, newest = (max(0.0, now - since) for since in (held.oldest, held.newest))
    return Row(held.tier, held.scope, held.group, held.count, held.tokens, size, oldest, newest)
