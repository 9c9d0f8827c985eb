"""/v1: what OpenAI clients expect. The status is decided before the first byte: see ``answers``, rule 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.gateway import openai_responses, sse, tally
from appliance.gateway.assembly import gateway_of
from appliance.gateway.bearer import api_caller
from appliance.gateway.body import read_json
from appliance.gateway.entitlements import allowed_models
from appliance.gateway.errors import NotFoundError, NotReadyError
from appliance.gateway.jobs import CHAT, COMPLETION
from appliance.gateway.openai_requests import ChatRequest, CompletionRequest
from appliance.gateway.openai_responses import Wording
from appliance.gateway.problems import openai_body
from appliance.gateway.refusals import refusals_logged
from appliance.gateway.steps import Failed, Finished, Text, Unkept

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

    from appliance.gateway.answers import Answer
    from appliance.gateway.errors import HttpError
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
        granted, model = await gateway.granted(caller, asked.model)
        job = await gateway.admitted(
            caller=caller,
            granted=granted,
            model=model,
            sampling=asked.sampling(model.context_tokens),
            purpose=PURPOSE,
            messages=[message.plain() for message in asked.messages],
        )
    return await _answered(request, gateway.answer(job, Unkept()), asked)


async def completions(request: Request) -> Response:
    """POST /v1/completions."""
    gateway = gateway_of(request)
    caller = await api_caller(gateway, request)
    async with refusals_logged(gateway, caller, COMPLETION):
        asked = await read_json(request, CompletionRequest)
        granted, model = await gateway.granted(caller, asked.model)
        job = await gateway.admitted(
            caller=caller,
            granted=granted,
            model=model,
            sampling=asked.sampling(model.context_tokens),
            purpose=PURPOSE,
            prompt=asked.text(),
        )
    return await _answered(request, gateway.answer(job, Unkept()), asked)


async def _answered(request: Request, answer: Answer, asked: ChatRequest | CompletionRequest) -> Response:
    steps = answer.steps()
    async with sse.on_disconnect(request.receive, answer.stop):
        first = await anext(steps)
        if isinstance(first, Failed):
            raise first.error
        if not asked.stream:
            return await _whole(answer, first, steps)
    return sse.EventStream(_chunks(answer, first, steps, usage_wanted=asked.usage_wanted), answer.stop)


async def _whole(answer: Answer, first: Step, steps: AsyncGenerator[Step, None]) -> Response:
    last = first
    async for step in steps:
        last = step
    if isinstance(last, Failed):
        raise last.error
    assert isinstance(last, Finished)
    if last.outcome not in _WHOLE:
        raise _broken_off(last.outcome)
    return JSONResponse(Wording(answer.job).whole(answer.tally, last.receipt))


async def _chunks(
    answer: Answer, first: Step, steps: AsyncGenerator[Step, None], *, usage_wanted: bool
) -> AsyncGenerator[bytes, None]:
    wording = Wording(answer.job)
    nothing_yet = {"usage": None} if usage_wanted else {}
    if (opening := wording.first()) is not None:
        yield sse.data_only({**opening, **nothing_yet})
    if isinstance(first, Finished):
        yield _last(answer, first, wording, usage_wanted=usage_wanted)
    async for step in steps:
        if isinstance(step, Text):
            yield sse.data_only({**wording.piece(step), **nothing_yet})
        elif isinstance(step, Failed):
            yield sse.data_only(openai_body(step.error))
        elif isinstance(step, Finished):
            yield _last(answer, step, wording, usage_wanted=usage_wanted)


def _last(answer: Answer, step: Finished, wording: Wording, *, usage_wanted: bool) -> bytes:
    """The end of a stream; the receipt is in its last object."""
    if step.outcome not in _WHOLE:
        return sse.data_only(openai_body(_broken_off(step.outcome)))
    receipt = {"sovereign": {"receipt": step.receipt}}
    end = wording.last(step.outcome)
    if not usage_wanted:
        return sse.data_only({**end, **receipt}) + sse.DONE
    usage = wording.usage(answer.tally.usage)
    return sse.data_only({**end, "usage": None}) + sse.data_only({**usage, **receipt}) + sse.DONE


def _broken_off(outcome: str) -> HttpError:
    return NotReadyError(f"the answer was {outcome} before its end", "ask again", code=outcome)


routes = [
    Route("/v1/models", list_models, methods=["GET"]),
    Route("/v1/models/{model}", one_model, methods=["GET"]),
    Route("/v1/chat/completions", chat_completions, methods=["POST"]),
    Route("/v1/completions", completions, methods=["POST"]),
]
