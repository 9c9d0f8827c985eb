"""One answer from admission to receipt, whatever the caller does meanwhile.

Ordering rules, each of which somebody relies on:

1. The engine is asked and the request entry is appended at the same time: the log costs no latency while the prompt
   is being read.
2. Nothing is handed out, not even that the request was admitted, before the engine admitted it AND the entry is
   durable. If the entry fails, the engine is cancelled and the caller gets 503.
3. Every logged request gets exactly one closing entry: an answer entry, also when it was stopped, timed out or broke
   off; or a refusal entry when the engine never admitted it. One that cannot be written now is written later (``Ledger
   .pay``), and what a killed gateway leaves open is closed by the audit writer.
4. The receipt is handed out last (where documents were asked for, with what of the answer rests on which of them, by
   the library as it is then), with the positions of both entries. If the answer entry cannot be written, the
   caller is told so instead of being given a receipt.
5. Where the group withholds answers that are too unsure, nothing of the text is handed out before it is whole, judged
   and entered; what is withheld is nowhere kept. What ends early is not judged, and nothing of it is handed out.
6. Quota is settled and the keeper (a conversation) written also when the caller is gone. The quota is settled while
   the log takes the answer's entry: neither waits for the other.

The work runs in a task of its own, not in the request's: ``stop`` ends the engine's part only, and 3 to 6 still happen.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from appliance.audit.receipt_check import receipt_digest
from appliance.engine import protocol as engine_protocol
from appliance.engine.errors import EngineBusyError, EngineRefusedError, EngineUnavailableError
from appliance.gateway import receipts
from appliance.gateway import tally as tallied
from appliance.gateway.database import DATABASE_DOWN
from appliance.gateway.engine_asked import as_seen, engine_request
from appliance.gateway.errors import HttpError, NotReadyError
from appliance.gateway.grounding import rested
from appliance.gateway.judging import emptied, in_its_place
from appliance.gateway.steps import Called, Failed, Finished, Held, Started, Step, Text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from appliance.audit.client import Position
    from appliance.gateway.documents import Documents
    from appliance.gateway.jobs import Job
    from appliance.gateway.ledger import Ledger
    from appliance.gateway.metrics import Metrics
    from appliance.gateway.ports import Engine
    from appliance.gateway.quota import Quotas
    from appliance.gateway.rollouts import Rollouts
    from appliance.gateway.savings import Savings
    from appliance.gateway.steps import Keeper

_log = structlog.get_logger(__name__)
REFUSED = "refused"
_OURS = 500
"""From this status on a refusal is nobody's who asked."""
_TOLD_EVERY = 8
"""Tokens after which whoever waits for an answer that is held back is told how many there are."""
MAX_SECONDS = 600.0  # shorter than the lease of a conversation (turns.LEASE)


@dataclass(frozen=True)
class Desk:
    """What answers need of the gateway."""

    ledger: Ledger
    quotas: Quotas
    metrics: Metrics
    documents: Documents
    savings: Savings
    rollouts: Rollouts
    language: str = "en"
    """The site's first: in which its own sentences are said where the question's language cannot be told."""


class Answer:
    """One answer under way. ``steps`` has one reader; ``stop`` may be called at any time and more than once."""

    def __init__(self, desk: Desk, engine: Engine, job: Job, keeper: Keeper) -> None:
        self._desk = desk
        self._engine = engine
        self._keeper = keeper
        self.job = job
        self.tally = tallied.Tally()
        self._queue: asyncio.Queue[Step] = asyncio.Queue()  # holds max_tokens steps at most
        self._held: list[Step] | None = [] if job.judging is not None and job.judging.holds else None
        self._stopped: str | None = None
        self._started = False
        self._entry: asyncio.Task[Position] | None = None
        self._conversing: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self.task = asyncio.create_task(self._run(), name=f"answer {job.request_id}")

    def stop(self, outcome: str = tallied.CANCELLED) -> None:
        """End the engine's part; what was written so far is the answer. The first call decides the outcome."""
        if self._stopped is None:
            self._stopped = outcome
            if self._conversing is not None:
                self._conversing.cancel()

    async def steps(self) -> AsyncGenerator[Step, None]:
        """Steps in order; the last is ``Finished`` or ``Failed``."""
        while True:
            step = await self._queue.get()
            yield step
            if isinstance(step, Finished | Failed):
                return

    async def _run(self) -> None:
        running = self._desk.metrics.running.labels(self.job.grant.model)
        running.inc()
        last: Step = Failed(HttpError("the gateway met an error of its own"))
        try:
            last = await self._concluded(await self._driven())
        finally:
            running.dec()
            try:
                await self._settled()
                await self._tidily("close", self._keeper.closed())
            finally:
                self._queue.put_nowait(last)

    def _settled(self) -> asyncio.Task[None]:
        """The quota's part; begun by the first call, when what is charged is known."""
        if self._settling is None:
            settle = self._desk.quotas.settle(self.job.reservation, self.tally.tokens)
            self._settling = asyncio.create_task(self._tidily("settle", settle))
        return self._settling

    async def _driven(self) -> HttpError | None:
        """Run the engine's part to its end, its stop or its failure; return the failure."""
        self._conversing = asyncio.create_task(self._converse())
        if self._stopped is not None:
            self._conversing.cancel()
        try:
            async with asyncio.timeout(MAX_SECONDS):
                await self._conversing
        except TimeoutError:
            self.tally.outcome = tallied.INTERRUPTED
        except asyncio.CancelledError:
            if self._stopped is None:
                raise  # the loop itself is being torn down
            self.tally.outcome = self._stopped
        except HttpError as error:
            self.tally.outcome = tallied.FAILED
            return error
        return None

    async def _converse(self) -> None:
        self._entry = asyncio.create_task(self._desk.ledger.request(self.job))
        try:
            async with contextlib.aclosing(self._engine.generate(engine_request(self.job))) as events:
                async for event in events:
                    await self._take(event)
        except (EngineBusyError, EngineRefusedError, EngineUnavailableError) as error:
            raise as_seen(error) from error
        if self.tally.outcome == tallied.RUNNING:
            raise NotReadyError("the engine broke off", "ask again", code="engine_interrupted")

    async def _take(self, event: engine_protocol.Event) -> None:
        match event:
            case engine_protocol.Admitted():
                self.tally.prompt_tokens = event.prompt_tokens
                await self._logged()
                await self._keeper.started()
                self._started = True
                self._queue.put_nowait(Started())
            case (
                engine_protocol.Token() | engine_protocol.ToolCall() | engine_protocol.Vectors() | engine_protocol.End()
            ) if not self._started:
                raise NotReadyError("the engine answered before it admitted", "ask again", code="engine_failed")
            case engine_protocol.Token():
                self.tally.add(event)
                self._show(Text(event.text, event.logprobs))
            case engine_protocol.ToolCall():
                if not self.job.tools.offers(event.name):
                    raise NotReadyError("the engine called what was not offered", "ask again", code="engine_failed")
                self._show(Called(event, len(self.tally.calls)))
                self.tally.calls.append(event)
            case engine_protocol.Vectors():
                self.tally.vectors = event.vectors
            case engine_protocol.End():
                self.tally.end(event)
            case engine_protocol.Failed():
                raise NotReadyError(f"the engine broke off: {event.message}", "ask again", code="engine_failed")

    def _show(self, step: Text | Called) -> None:
        if self._held is None:
            self._queue.put_nowait(step)
            return
        self._held.append(step)
        if self.tally.completion_tokens % _TOLD_EVERY == 1:
            self._queue.put_nowait(Held(self.tally.completion_tokens))

    async def _logged(self) -> None:
        assert self._entry is not None
        with self._desk.metrics.log_wait.time():
            await asyncio.shield(self._entry)  # a stop must not cancel the append itself: rule 3

    async def _concluded(self, error: HttpError | None) -> Step:
        try:
            request = await self._entry if self._entry is not None else None
        except NotReadyError as unlogged:
            self._desk.ledger.unlogged(self.job, error or unlogged)
            return self._unanswered(error or unlogged)
        if request is None:
            return self._unanswered(error or NotReadyError("the request was stopped before it began", code="stopped"))
        if error is not None and not self._started:
            await self._desk.ledger.refused_by_engine(self.job, error)
            if error.status >= _OURS:
                await self._desk.rollouts.note(self.job, self.tally, REFUSED)
            return self._unanswered(error)
        return await self._answered(request, error)

    def _unanswered(self, error: HttpError) -> Step:
        self.tally.prompt_tokens = self.tally.completion_tokens = 0  # nothing was given, nothing is charged
        self._desk.metrics.answers.labels(self.job.grant.model, REFUSED).inc()
        return Failed(error)

    async def _answered(self, request: Position, error: HttpError | None) -> Step:
        receipt: dict[str, Any] | None = None
        await self._look_again()
        await self._judge()
        self._settled()
        try:
            bare = receipts.unlogged(self.job, self.tally)
            position = await self._desk.ledger.answer(self.job, self.tally, request, receipt_digest(bare))
            receipt = receipts.logged(bare, request, position)
            if not position.entry:
                _log.warning("receipt.unproven", request_id=self.job.request_id)
        except NotReadyError as unlogged:
            error = error or unlogged
            if self._held is not None:
                self.tally.replace("")  # nobody was given it, and nobody will be
        self._release()
        await self._desk.rollouts.note(self.job, self.tally, self.tally.outcome)
        if self._started:
            try:
                await self._keeper.finished(self.tally.text, self.tally.outcome, receipt)
            except HttpError as unkept:
                error = error or unkept
        self._count()
        if receipt is not None:
            for tier, tokens in self._desk.savings.count(self.job, self.tally).items():
                self._desk.metrics.spared.labels(self.job.grant.model, tier).inc(tokens)
        if error is not None or receipt is None:
            return Failed(error or HttpError("there is no receipt"))
        return Finished(self.tally.outcome, receipt)

    async def _look_again(self) -> None:
        """What the answer rests on, by what the library shows to who asked at this moment."""
        grounding = self.job.grounding
        if grounding is None:
            return
        places = [one.place for one in grounding.passages]
        there = await self._desk.documents.still(places, self.job.caller.groups)
        self.tally.rested = await asyncio.to_thread(rested, self.tally.text, grounding, there)

    async def _judge(self) -> None:
        """How sure the answer is; where that is too little, the site's sentence takes its place."""
        tally, judging = self.tally, self.job.judging
        if judging is None:
            return
        if tally.outcome not in {tallied.STOP, tallied.LENGTH}:
            if self._held is not None:
                self._put_in_its_place("")
            return
        tally.judged = await asyncio.to_thread(judging.judged, tally, self.job.grounding)
        if tally.judged.withheld:
            said = (self.job.messages or ({"content": self.job.prompt or ""},))[-1]["content"]
            self._put_in_its_place(in_its_place(tally.judged, said, tally, self._desk.language))

    def _put_in_its_place(self, text: str) -> None:
        self.tally.replace(text)
        self.tally.rested = emptied(self.tally.rested)
        self._held = [Text(text)] if text else []

    def _release(self) -> None:
        """Hand out what was held back, as far as it is the answer; only what the log has."""
        for step in self._held or () if self.tally.text or self.tally.calls else ():
            self._queue.put_nowait(step)

    def _count(self) -> None:
        metrics, model = self._desk.metrics, self.job.grant.model
        metrics.answers.labels(model, self.tally.outcome).inc()
        metrics.joules.labels(model).inc(self.tally.joules)
        metrics.tool_calls.labels(model).inc(len(self.tally.calls))
        for kind, count in self.tally.usage.items():
            metrics.tokens.labels(model, kind.removesuffix("_tokens")).inc(count)
        if self.tally.first_token_seconds is not None:
            metrics.first_token.labels(model).observe(self.tally.first_token_seconds)

    async def _tidily(self, what: str, work: Any) -> None:
        try:
            await work
        except (HttpError, *DATABASE_DOWN) as error:
            self._desk.metrics.upkeep_failures.labels(what).inc()
            _log.warning("answer not tidied up", what=what, request_id=self.job.request_id, cause=str(error))
