"""The stream of an answer to the page: ``start``, ``token`` …, ``receipt``, ``done``; or ``problem``.

Before the receipt of an answer from documents come its ``citations``, with the words of the passages.

A refusal before the first event is an ordinary problem response with its status. Closing the connection stops the
answer; what was written so far stays in the conversation as ``cancelled``.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.routing import Route

from appliance.gateway import sampling, sse
from appliance.gateway.access import Visitor, visitor
from appliance.gateway.assembly import gateway_of
from appliance.gateway.body import read_json
from appliance.gateway.database import needed
from appliance.gateway.documents import room
from appliance.gateway.grounding import shown
from appliance.gateway.history import asked_after, estimated_prompt, estimated_tokens, fitted, without_oldest
from appliance.gateway.page_routes import path_id
from appliance.gateway.problems import problem_body
from appliance.gateway.refusals import refusals_logged
from appliance.gateway.steps import Failed, Finished, Held, Started, Step, Text
from appliance.learning.signals import Asked, signals
from appliance.memory.claims import unnumbered

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request
    from starlette.responses import Response

    from appliance.gateway.answers import Answer
    from appliance.gateway.assembly import Gateway
    from appliance.gateway.conversations import Message
    from appliance.gateway.grounding import Grounding
    from appliance.gateway.metrics import Metrics
    from appliance.gateway.rollouts import Rollouts
    from appliance.gateway.turns import Turn, TurnStore

PURPOSE = "conversation"
CONTEXT_EXCEEDED = "context_length_exceeded"
MAX_QUESTION = 200_000


class NewMessage(BaseModel):
    """POST /api/conversations/{id}/messages."""

    model_config = ConfigDict(extra="forbid", strict=True)
    content: Annotated[str, StringConstraints(strip_whitespace=True), Field(min_length=1, max_length=MAX_QUESTION)]
    documents: bool = False


class TurnKeeper:
    """Keeps an answer in its conversation. The lease is its own from ``started`` on; before, it is the route's."""

    def __init__(self, turns: TurnStore, turn: Turn, metrics: Metrics, rollouts: Rollouts) -> None:
        self._turns = turns
        self._turn = turn
        self._signals = metrics.signals
        self._rollouts = rollouts
        self._asked = Asked(turn.question, datetime.now(UTC))
        self._started = False

    async def started(self) -> None:
        """Write the question and the empty answer."""
        with needed():
            await self._turns.start(self._turn)
        self._started = True

    async def finished(self, text: str, outcome: str, receipt: dict[str, Any] | None) -> None:
        """Write the answer."""
        with needed():
            await self._turns.finish(self._turn, text, outcome, receipt)
        found = signals(self._turn.history, self._asked, text, outcome, receipt)
        for signal in found:
            self._signals.labels(self._turn.model, signal).inc()
        await self._rollouts.signs(receipt, self._turn.message_id, found)

    async def closed(self) -> None:
        """Give the lease back."""
        if self._started:
            await self._turns.close(self._turn)


async def post_message(request: Request) -> Response:
    """POST /api/conversations/{id}/messages."""
    gateway = gateway_of(request)
    person = await visitor(request)
    async with refusals_logged(gateway, person.caller, PURPOSE):
        asked = await read_json(request, NewMessage)
        turn = await gateway.turns.open(person.caller.subject, path_id(request, "id"), asked.content)
    return await _stream(gateway, request, person, replace(turn, documents=asked.documents))


async def retry_message(request: Request) -> Response:
    """POST /api/conversations/{id}/messages/{message_id}/retry: the last question, from documents if it was."""
    gateway = gateway_of(request)
    person = await visitor(request)
    turn = await gateway.turns.reopen(person.caller.subject, path_id(request, "id"), path_id(request, "message_id"))
    wanted = request.query_params.get("documents") == "1"  # says who saw the switch on an answer that has no receipt
    return await _stream(gateway, request, person, replace(turn, documents=turn.documents or wanted))


async def _stream(gateway: Gateway, request: Request, person: Visitor, turn: Turn) -> Response:
    owned = False
    try:
        answer, first, steps = await _begun(gateway, request, person, turn)
        owned = isinstance(first, Started)
        if isinstance(first, Failed):
            raise first.error
    finally:
        if not owned:
            await gateway.turns.close(turn)
    return sse.EventStream(_events(turn, answer, first, steps), answer.stop)


async def _begun(
    gateway: Gateway, request: Request, person: Visitor, turn: Turn
) -> tuple[Answer, Step, AsyncGenerator[Step, None]]:
    """The answer at its first step; oldest turns are dropped until the engine finds that the prompt fits."""
    earlier = [{"role": m.role, "content": _said(m)} for m in turn.history]
    messages = asked_after(earlier, turn.question)
    grounding: Grounding | None = None
    while True:
        async with refusals_logged(gateway, person.caller, PURPOSE):
            granted, model = await gateway.granted(person.caller, turn.model, looks_up=turn.documents)
            drawn = sampling.for_conversation(model.context_tokens)
            told = granted.instructions.text
            if turn.documents and grounding is None:
                await gateway.quotas.check(person.caller.subject, granted)
                left = room(model.context_tokens, drawn.max_tokens, [told, turn.question])
                grounding = await gateway.documents.grounded(person.caller, messages, left, granted.looking)
            quoted = estimated_prompt(grounding.told(messages[-1:])[-1:]) if grounding is not None else 0
            spare = estimated_tokens(told) + max(0, quoted - estimated_prompt(messages[-1:]))
            messages = fitted(messages, model.context_tokens - drawn.max_tokens - spare)
            (job,) = await gateway.admitted(
                caller=person.caller,
                granted=granted,
                model=model,
                sampling=drawn,
                purpose=PURPOSE,
                messages=messages,
                grounding=grounding,
            )
        answer = gateway.answer(job, TurnKeeper(gateway.turns, turn, gateway.metrics, gateway.rollouts))
        steps = answer.steps()
        async with sse.on_disconnect(request.receive, answer.stop):
            first = await anext(steps)
        shorter = without_oldest(messages)
        if shorter is None or not isinstance(first, Failed) or first.error.code != CONTEXT_EXCEEDED:
            return answer, first, steps
        messages = shorter


def _said(message: Message) -> str:
    """What was said before: without numbers of passages, which would be those of others now."""
    documents = (message.receipt or {}).get("documents")
    if documents is None:
        return message.content
    spans = [(claim["first"], claim["last"]) for claim in documents["claims"]]
    return unnumbered(message.content, spans, len(documents["passages"]))


async def _events(
    turn: Turn, answer: Answer, first: Step, steps: AsyncGenerator[Step, None]
) -> AsyncGenerator[bytes, None]:
    ids = {"user_message_id": str(turn.user_message_id), "message_id": str(turn.message_id)}
    yield sse.event("start", ids)
    if isinstance(first, Finished):
        yield _end(answer, first)
        return
    async for step in steps:
        if isinstance(step, Text):
            yield sse.event("token", {"text": step.text})
        elif isinstance(step, Held):
            yield sse.event("held", {"tokens": step.tokens})
        elif isinstance(step, Finished):
            yield _end(answer, step)
        elif isinstance(step, Failed):
            yield sse.event("problem", problem_body(step.error))


def _end(answer: Answer, step: Finished) -> bytes:
    grounding, found = answer.job.grounding, answer.tally.rested
    cited = sse.event("citations", shown(found, grounding)) if grounding is not None and found is not None else b""
    return cited + sse.event("receipt", step.receipt) + sse.event("done", {"finish_reason": step.outcome})


routes = [
    Route("/api/conversations/{id}/messages", post_message, methods=["POST"]),
    Route("/api/conversations/{id}/messages/{message_id}/retry", retry_message, methods=["POST"]),
]
