"""/v1: what OpenAI clients expect. The status is decided before the first byte: see ``answers``, rule 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.gateway import briefs, evaluation, openai_responses, sse, tally
from appliance.gateway.assembly import gateway_of
from appliance.gateway.bearer import api_caller
from appliance.gateway.body import read_json
from appliance.gateway.choices import Choices
from appliance.gateway.documents import room
from appliance.gateway.entitlements import allowed_models
from appliance.gateway.errors import NotFoundError, NotReadyError, UnprocessableError
from appliance.gateway.jobs import CHAT, COMPLETION
from appliance.gateway.openai_requests import ChatRequest, CompletionRequest
from appliance.gateway.problems import openai_body
from appliance.gateway.refusals import refusals_logged
from appliance.gateway.steps import Called, Failed, Finished, Held, Text, Unkept

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from starlette.requests import Request

    from appliance.engine.client import ModelInfo
    from appliance.gateway.assembly import Gateway
    from appliance.gateway.callers import Caller
    from appliance.gateway.entitlements import Grant
    from appliance.gateway.errors import HttpError
    from appliance.gateway.grounding import Grounding
    from appliance.gateway.jobs import Job
    from appliance.gateway.steps import Step

PURPOSE = "api"
_WHOLE = frozenset({tally.STOP, tally.LENGTH})


async def list_models(request: Request) -> Response:
    """GET /v1/models: those that the caller may use and whose engines answer."""
    gateway = gateway_of(request)
    caller = await api_caller(gateway, request)
    models = await gateway.catalogue.available(allowed_models(gateway.site, caller.groups))
    return JSONResponse(openai_responses.model_list(models))


async def one_model(request: Request) -> Response:
    """GET /v1/models/{model}."""
    gateway = gateway_of(request)
    caller = await api_caller(gateway, request)
    name = request.path_params["model"]
    if name not in allowed_models(gateway.site, caller.groups):
        raise NotFoundError("there is no such model, or it is not yours to use", code="model_not_found")
    return JSONResponse(openai_responses.model_object(name, await gateway.catalogue.model(name)))


async def chat_completions(request: Request) -> Response:
    """POST /v1/chat/completions."""
    gateway = gateway_of(request)
    caller = await api_caller(gateway, request)
    async with refusals_logged(gateway, caller, CHAT):
        asked = await read_json(request, ChatRequest)
        tried = evaluation.pack_on_trial(gateway.site, caller, request.headers.get(evaluation.PACK_HEADER))
        caller, purpose = evaluation.asked_as(gateway.site, caller, request.headers.get(evaluation.HEADER), PURPOSE)
        brief = evaluation.brief_wished(purpose, request.headers.get(evaluation.BRIEF_HEADER))
        change = evaluation.change_on_trial(purpose, request.headers.get(evaluation.CHANGE_HEADER))
        tools = asked.offered()
        if tools.offered:
            brief = briefs.NONE  # so that no document can make a model call one (ADR 144)
        looks_up = asked.documents is not None
        granted, model = await gateway.granted(
            caller, asked.model, pack=tried, brief=brief, change=change, looks_up=looks_up
        )
        jobs = await gateway.admitted(
            caller=caller,
            granted=granted,
            model=model,
            sampling=asked.sampling(model.context_tokens),
            purpose=purpose,
            messages=[message.plain() for message in asked.messages],
            choices=asked.choices,
            tools=tools,
            grounding=await _grounded(gateway, caller, asked, granted, model),
        )
    return await _answered(request, gateway, jobs, asked)


async def _grounded(
    gateway: Gateway, caller: Caller, asked: ChatRequest, granted: Grant, model: ModelInfo
) -> Grounding | None:
    """Passages for the question, where the caller asked for documents."""
    if asked.documents is None:
        return None
    await gateway.quotas.check(caller.subject, granted)
    messages = [message.plain() for message in asked.messages]
    told = [granted.instructions.text, *(message["content"] for message in messages)]
    left = room(model.context_tokens, asked.sampling(model.context_tokens).max_tokens, told)
    return await gateway.documents.grounded(caller, messages, left, granted.looking, asked.documents.passages)


async def completions(request: Request) -> Response:
    """POST /v1/completions."""
    gateway = gateway_of(request)
    caller = await api_caller(gateway, request)
    async with refusals_logged(gateway, caller, COMPLETION):
        asked = await read_json(request, CompletionRequest)
        caller, purpose = evaluation.asked_as(gateway.site, caller, request.headers.get(evaluation.HEADER), PURPOSE)
        granted, model = await gateway.granted(caller, asked.model, brief=briefs.NONE)
        if granted.pack is not None:
            raise UnprocessableError(
                f"{granted.group.name} answers under a pack, which a bare prompt would pass by",
                "POST /v1/chat/completions",
                code="pack_in_force",
            )
        jobs = await gateway.admitted(
            caller=caller,
            granted=granted,
            model=model,
            sampling=asked.sampling(model.context_tokens),
            purpose=purpose,
            prompt=asked.text(),
            choices=asked.choices,
        )
    return await _answered(request, gateway, jobs, asked)


async def _answered(
    request: Request, gateway: Gateway, jobs: Sequence[Job], asked: ChatRequest | CompletionRequest
) -> Response:
    choices = Choices([gateway.answer(job, Unkept()) for job in jobs])
    async with sse.on_disconnect(request.receive, choices.stop):
        await choices.begun()
        if not asked.stream:
            return await _whole(choices)
    return sse.EventStream(_chunks(choices, usage_wanted=asked.usage_wanted), choices.stop)


async def _whole(choices: Choices) -> Response:
    last: dict[int, Step] = {index: step async for index, step in choices.steps()}
    receipts = []
    for index in range(len(choices.answers)):
        step = last[index]
        if isinstance(step, Failed):
            raise step.error
        assert isinstance(step, Finished)
        if step.outcome not in _WHOLE:
            raise _broken_off(step.outcome)
        receipts.append(step.receipt)
    return JSONResponse(openai_responses.whole(choices.answers, receipts))


async def _chunks(choices: Choices, *, usage_wanted: bool) -> AsyncGenerator[bytes, None]:
    """A stream; receipt and citations of the only answer are in the last object, those of several where each ends."""
    wordings = openai_responses.wordings([answer.job for answer in choices.answers])
    nothing_yet: dict[str, Any] = {"usage": None} if usage_wanted else {}
    several, whole = len(wordings) > 1, True
    last: dict[str, Any] = {}
    for wording in wordings:
        if (opening := wording.first()) is not None:
            yield sse.data_only({**opening, **nothing_yet})
    async for index, step in choices.steps():
        if isinstance(step, Text | Called):
            yield sse.data_only({**wordings[index].piece(step), **nothing_yet})
        elif isinstance(step, Held):
            yield sse.KEEPALIVE
        elif (error := _ended_early(step)) is not None:
            whole = False
            yield sse.data_only(openai_body(error))
        elif isinstance(step, Finished):
            last = {"sovereign": openai_responses.told(choices.answers[index], step.receipt)}
            end = {**wordings[index].last(step.outcome), **nothing_yet}
            yield sse.data_only(end if usage_wanted and not several else {**end, **last})
    if whole and usage_wanted:
        usage = wordings[0].usage(openai_responses.summed(choices.answers))
        yield sse.data_only(usage if several else {**usage, **last})
    if whole:
        yield sse.DONE


def _ended_early(step: Step) -> HttpError | None:
    """Why the answer is not whole, where its last step says so."""
    if isinstance(step, Failed):
        return step.error
    return _broken_off(step.outcome) if isinstance(step, Finished) and step.outcome not in _WHOLE else None


def _broken_off(outcome: str) -> HttpError:
    return NotReadyError(f"the answer was {outcome} before its end", "ask again", code=outcome)


routes = [
    Route("/v1/models", list_models, methods=["GET"]),
    Route("/v1/models/{model}", one_model, methods=["GET"]),
    Route("/v1/chat/completions", chat_completions, methods=["POST"]),
    Route("/v1/completions", completions, methods=["POST"]),
]
