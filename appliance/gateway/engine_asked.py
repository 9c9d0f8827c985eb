"""How an answer's engine is asked, and how its refusal is said to the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.engine import protocol as engine_protocol
from appliance.engine.errors import EngineBusyError, EngineRefusedError, EngineUnavailableError
from appliance.engine.served import receipt_digest
from appliance.gateway.errors import ExhaustedError, HttpError, NotReadyError, UnprocessableError
from appliance.gateway.instructions import conversation

if TYPE_CHECKING:
    from appliance.gateway.jobs import Job


def engine_request(job: Job) -> engine_protocol.Request:
    """The job as the engine is asked."""
    sampling = job.sampling
    return engine_protocol.Request(
        id=job.request_id,
        user=job.caller.subject,
        group=job.grant.group.name,
        weight=job.caller.weight or job.grant.group.weight,
        priority=job.priority,
        prompt=job.prompt,
        inputs=job.inputs,
        messages=_told(job),
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        seed=sampling.seed,
        stop=sampling.stop,
        json_schema=sampling.json_schema,
        top_logprobs=0 if sampling.top_logprobs is None and job.judging is not None else sampling.top_logprobs,
        adapter=job.grant.adapter,
        tools=job.tools.offered,
        tool_choice=job.tools.choice,
        parallel_calls=job.tools.parallel,
        receipt_digest=receipt_digest(job.model.receipt),
        kept=job.grounding is None or not job.grounding.passages,
    )


def _told(job: Job) -> tuple[engine_protocol.Message, ...] | None:
    """The conversation as the model reads it: instructions first, then what the site says of quotations."""
    if job.messages is None:
        return None
    if job.grounding is None:
        return conversation(job.messages, job.grant.instructions)
    return job.grounding.ruled(conversation(job.grounding.told(job.messages), job.grant.instructions))


def as_seen(error: EngineBusyError | EngineRefusedError | EngineUnavailableError) -> HttpError:
    """An engine's refusal as the caller sees it."""
    match error:
        case EngineBusyError():
            return ExhaustedError(
                "the model has too many requests waiting",
                f"try again in {error.retry_after} s",
                code="engine_busy",
                retry_after=error.retry_after,
            )
        case EngineRefusedError():
            return UnprocessableError(error.message, code=error.code)
        case _:
            return NotReadyError("the model does not answer at the moment", code="engine_unavailable", retry_after=5)
