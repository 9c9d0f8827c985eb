"""The gateway's entries in the audit log.

Requests and answers are always written, or there is no answer. Refusals are rate-bound (``rate_bound``) and best
effort: a refusal gives nothing away, so a log that is down does not turn it into something else; what is left out is
counted. Entry ids are derived from the request, so that a repeated append lands on the same position; they name this
process (``AuditClient.instance``), so that the writer ends what it leaves open when it dies. A request has one id for
its end, however it ends. An end that the log did not take is owed: ``pay`` writes it once the log is back.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import structlog

from appliance.audit import events
from appliance.audit.commitment import commit
from appliance.audit.errors import AuditUnavailableError, EntryRefusedError
from appliance.audit.events_documents import document_change
from appliance.audit.events_learning import expert_act, feedback, rollout_decision
from appliance.audit.events_reading import log_read, memory_read
from appliance.audit.open_requests import BEGUN, ENDED
from appliance.audit.roles import GATEWAY
from appliance.gateway.errors import NotReadyError
from appliance.gateway.grounding import entered, given
from appliance.gateway.rate_bound import RateBound
from appliance.gateway.tools import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.audit.client import Position
    from appliance.gateway.callers import Caller
    from appliance.gateway.errors import HttpError
    from appliance.gateway.jobs import Job
    from appliance.gateway.metrics import Metrics
    from appliance.gateway.ports import Audit
    from appliance.gateway.tally import Tally

_log = structlog.get_logger(__name__)
_END_ATTEMPTS = 3
_ATTEMPT_PAUSE = 0.5
_NOBODY = "nobody"  # all callers without a valid token share one bucket


class Ledger:
    """Writes entries; ``NotReadyError`` where an entry that must be durable is not."""

    def __init__(self, audit: Audit, metrics: Metrics, bound: RateBound | None = None) -> None:
        self._audit = audit
        self._metrics = metrics
        self._bound = bound or RateBound()
        self._owed: dict[str, dict[str, Any]] = {}

    async def request(self, job: Job) -> Position:
        """The entry that must be durable before the first token leaves."""
        entry = events.request(
            request_id=job.request_id,
            subject=job.caller.subject,
            groups=(job.grant.group.name,),
            model_digest=job.model.receipt["digest"],
            model_name=job.grant.model,
            producer=job.model.receipt.get("producer"),
            prompt_commitment=commit(job.committed_prompt(), job.prompt_salt),
            purpose=job.purpose,
            operation=job.operation,
            client_id=job.caller.client_id,
            sampler=job.sampling.receipt() if job.inputs is None else None,
            passages=given(job.grounding) if job.grounding is not None else None,
        )
        return await self._written(entry, self._step(job, BEGUN))

    async def answer(self, job: Job, tally: Tally, request: Position, receipt_digest: str) -> Position:
        """The entry about how it ended, with its proof; tried again for a moment: the answer was already given."""
        documents, spans = entered(tally.rested)
        entry = events.answer(
            request_id=job.request_id,
            subject=job.caller.subject,
            groups=(job.grant.group.name,),
            model_digest=job.model.receipt["digest"],
            model_name=job.grant.model,
            producer=job.model.receipt.get("producer"),
            outcome=tally.outcome,
            prompt_tokens=tally.prompt_tokens,
            completion_tokens=tally.completion_tokens,
            cached_tokens=tally.cached_tokens,
            joules=tally.joules,
            energy_method=tally.energy_method,
            duration_ms=tally.duration_ms,
            answer_commitment=commit(tally.answer, tally.salt),
            request_index=request.index,
            purpose=job.purpose,
            operation=job.operation,
            receipt_digest=receipt_digest,
            tool_calls=counted(tally.calls),
            documents=documents,
            spans=spans,
            rollout=job.grant.rollout.entered() if job.grant.rollout is not None else None,
            confidence=tally.judged.value,
            abstained=tally.judged.cause if tally.judged.withheld else None,
        )
        return await self._ended(entry, self._step(job, ENDED), attempts=_END_ATTEMPTS, proven=True)

    async def sign_in(self, *, caller: Caller, session_id: str | None) -> Position:
        """Somebody signed in to the page. Raises ``NotReadyError``: then there is no session."""
        entry = events.sign_in(
            subject=caller.subject, groups=caller.groups, session_id=session_id, client_id=caller.client_id
        )
        return await self._written(entry, GATEWAY.id(uuid.uuid4().hex, "sign-in"))

    async def sign_out(self, *, caller: Caller, session_id: str | None, reason: str | None = None) -> None:
        """A session ended. It stays ended when the log is down: that is counted and reported, not undone."""
        entry = events.sign_out(
            subject=caller.subject,
            groups=caller.groups,
            session_id=session_id,
            client_id=caller.client_id,
            reason=reason,
        )
        await self._best_effort(entry, GATEWAY.id(uuid.uuid4().hex, "sign-out"), "sign_out")

    async def log_read(self, *, caller: Caller, what: str, asked: Mapping[str, str | int | list[str]]) -> Position:
        """An auditor looks at the log. Raises ``NotReadyError``: then nothing is shown."""
        entry = log_read(subject=caller.subject, groups=caller.groups, what=what, asked=asked)
        return await self._written(entry, GATEWAY.id(uuid.uuid4().hex, "log-read"))

    async def memory_read(self, *, caller: Caller) -> Position:
        """Somebody who administers the site looks at its memory. Raises ``NotReadyError``: then nothing is shown."""
        entry = memory_read(subject=caller.subject, groups=caller.groups)
        return await self._written(entry, GATEWAY.id(uuid.uuid4().hex, "memory-read"))

    async def feedback(self, *, caller: Caller, **about: Any) -> Position:
        """Somebody says something of an answer (``events_learning``). Raises ``NotReadyError``: nothing is kept."""
        entry = feedback(subject=caller.subject, groups=caller.groups, **about)
        return await self._written(entry, GATEWAY.id(uuid.uuid4().hex, "feedback"))

    async def expert_act(self, *, caller: Caller, **about: Any) -> Position:
        """An expert reads or rules (``events_learning``). Raises ``NotReadyError``: then nothing is shown or kept."""
        entry = expert_act(subject=caller.subject, groups=caller.groups, **about)
        return await self._written(entry, GATEWAY.id(uuid.uuid4().hex, "expert-act"))

    async def document_brought(self, *, caller: Caller, digest: str, detail: str) -> Position:
        """Somebody brings a document. Raises ``NotReadyError``: then nothing of it is kept."""
        entry = document_change(subject=caller.subject, groups=caller.groups, digest=digest, detail=detail)
        return await self._written(entry, GATEWAY.id(uuid.uuid4().hex, "document"))

    async def rollout_decided(self, entry_id: str, **about: Any) -> Position:
        """A rollout goes on or back by itself (``events_learning``). Raises ``NotReadyError``: then it does not yet.

        The same decision under the same ``entry_id`` is one entry, whichever gateway writes it.
        """
        return await self._written(rollout_decision(**about), GATEWAY.id("rollout", entry_id))

    async def refused_by_engine(self, job: Job, error: HttpError) -> None:
        """Close a request that is in the log already; quotas bound these."""
        self._metrics.refusals.labels(str(error.status), error.code).inc()
        try:
            await self._ended(_refusal_of(job, error), self._step(job, ENDED), attempts=1)
        except NotReadyError as unlogged:
            self._unwritten("refusal", unlogged)

    def unlogged(self, job: Job, error: HttpError) -> None:
        """The log did not say that it took the request, which was refused; if it did take it, it lacks its end."""
        self._owed[self._step(job, ENDED)] = _refusal_of(job, error)

    async def pay(self) -> None:
        """Write the ends that are owed, as far as the log takes them."""
        for entry_id, entry in list(self._owed.items()):
            try:
                await self._written(entry, entry_id)
            except NotReadyError as error:
                if not isinstance(error.__cause__, EntryRefusedError):
                    return
                _log.warning("the log has another end of this request", id=entry_id, cause=str(error.__cause__))
            self._owed.pop(entry_id, None)

    async def refusal(
        self, error: HttpError, caller: Caller | None, *, operation: str, model: str | None = None
    ) -> None:
        """A refusal at the door, unless this caller has left too many of this kind lately."""
        self._metrics.refusals.labels(str(error.status), error.code).inc()
        left_out = self._bound.admit(error.code, caller.subject if caller else _NOBODY)
        if left_out is None:
            self._metrics.unlogged_refusals.labels("rate").inc()
            return
        request_id = uuid.uuid4().hex
        entry = events.refusal(
            request_id=request_id,
            reason_code=error.code,
            status=error.status,
            subject=caller.subject if caller else None,
            groups=caller.groups if caller else (),
            model_name=model,
            detail=f"{left_out} more like this were not written" if left_out else None,
            operation=operation,
        )
        await self._best_effort(entry, GATEWAY.id(request_id, "refusal"), "refusal")

    async def _best_effort(self, entry: dict[str, Any], entry_id: str, kind: str) -> None:
        try:
            await self._written(entry, entry_id)
        except NotReadyError as error:
            self._unwritten(kind, error)

    def _unwritten(self, kind: str, error: NotReadyError) -> None:
        self._metrics.unlogged_refusals.labels("log_down").inc()
        _log.warning("entry not written", kind=kind, cause=str(error.__cause__))

    def _step(self, job: Job, step: str) -> str:
        return GATEWAY.id(self._audit.instance, job.request_id, step)

    async def _ended(self, entry: dict[str, Any], entry_id: str, attempts: int, *, proven: bool = False) -> Position:
        """Write how a request ended: tried ``attempts`` times, and owed from then on."""
        for _ in range(attempts - 1):
            try:
                return await self._written(entry, entry_id, proven=proven)
            except NotReadyError:
                await asyncio.sleep(_ATTEMPT_PAUSE)
        self._owed[entry_id] = entry
        position = await self._written(entry, entry_id, proven=proven)
        del self._owed[entry_id]
        return position

    async def _written(self, entry: dict[str, Any], entry_id: str, *, proven: bool = False) -> Position:
        try:
            return await self._audit.append(entry, id=entry_id, proven=proven)
        except AuditUnavailableError as error:
            raise NotReadyError(
                "the audit log cannot be written, so nothing is answered",
                "the operator sees the cause in `sovereign status`",
                code="audit_unavailable",
                retry_after=5,
            ) from error
        except EntryRefusedError as error:
            raise NotReadyError("the audit log refused the entry", code="audit_refused") from error


def _refusal_of(job: Job, error: HttpError) -> dict[str, Any]:
    return events.refusal(
        request_id=job.request_id,
        reason_code=error.code,
        status=error.status,
        subject=job.caller.subject,
        groups=(job.grant.group.name,),
        model_name=job.grant.model,
        purpose=job.purpose,
        operation=job.operation,
    )
