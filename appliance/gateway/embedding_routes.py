"""POST /v1/embeddings: vectors of texts, as OpenAI clients want them; logged, charged and receipted like an answer."""

from __future__ import annotations

import asyncio
import base64
import struct
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.gateway import evaluation, sampling, sse
from appliance.gateway.assembly import gateway_of
from appliance.gateway.bearer import api_caller
from appliance.gateway.body import read_json
from appliance.gateway.briefs import NONE
from appliance.gateway.errors import NotReadyError, UnprocessableError
from appliance.gateway.jobs import EMBEDDING
from appliance.gateway.refusals import refusals_logged
from appliance.gateway.steps import Failed, Finished, Unkept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from appliance.gateway.answers import Answer
    from appliance.gateway.jobs import Job

MAX_INPUTS = 256
PURPOSE = "api"
_Text = Annotated[str, Field(min_length=1)]


class EmbeddingRequest(BaseModel):
    """What is asked for. Token numbers instead of texts are refused: they belong to another tokenizer."""

    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())

    model: str = Field(min_length=1, max_length=200)
    input: _Text | Annotated[list[_Text], Field(min_length=1, max_length=MAX_INPUTS)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: str | None = Field(default=None, max_length=512, description="Ignored: the token says who calls.")

    def texts(self) -> tuple[str, ...]:
        """The texts, one or more."""
        return (self.input,) if isinstance(self.input, str) else tuple(self.input)


async def embeddings(request: Request) -> Response:
    """POST /v1/embeddings."""
    gateway = gateway_of(request)
    caller = await api_caller(gateway, request)
    async with refusals_logged(gateway, caller, EMBEDDING):
        asked = await read_json(request, EmbeddingRequest)
        caller, purpose = evaluation.asked_as(gateway.site, caller, request.headers.get(evaluation.HEADER), PURPOSE)
        granted, model = await gateway.granted(caller, asked.model, role="embedding", brief=NONE)
        if asked.dimensions not in {None, model.dimensions}:
            raise UnprocessableError(
                f"the model's vectors have {model.dimensions} numbers", code="invalid_dimensions", param="dimensions"
            )
        (job,) = await gateway.admitted(
            caller=caller,
            granted=granted,
            model=model,
            sampling=sampling.UNDRAWN,
            purpose=purpose,
            inputs=asked.texts(),
        )
    answer = gateway.answer(job, Unkept())
    async with sse.on_disconnect(request.receive, answer.stop):
        receipt = await _receipt(answer)
    vectors = answer.tally.vectors
    if len(vectors) != len(asked.texts()):
        raise NotReadyError("the engine gave another number of vectors than texts", "ask again", code="engine_failed")
    as_text = asked.encoding_format == "base64"
    return await asyncio.to_thread(lambda: JSONResponse(_body(job, vectors, answer, receipt, as_text=as_text)))


async def _receipt(answer: Answer) -> dict[str, Any]:
    async for step in answer.steps():
        if isinstance(step, Failed):
            raise step.error
        if isinstance(step, Finished):
            if step.outcome != "stop":
                raise NotReadyError(f"the request was {step.outcome} before its end", "ask again", code=step.outcome)
            return step.receipt
    raise NotReadyError("the engine broke off", "ask again", code="engine_interrupted")


def _body(
    job: Job, vectors: Sequence[bytes], answer: Answer, receipt: dict[str, Any], *, as_text: bool
) -> dict[str, Any]:
    used = answer.tally.prompt_tokens
    return {
        "object": "list",
        "model": job.grant.model,
        "data": [
            {"object": "embedding", "index": index, "embedding": _numbers(vector, as_text=as_text)}
            for index, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": used, "total_tokens": used},
        "sovereign": {"receipt": receipt},
    }


def _numbers(vector: bytes, *, as_text: bool) -> str | list[float]:
    return base64.b64encode(vector).decode() if as_text else list(struct.unpack(f"<{len(vector) // 4}f", vector))


routes = [Route("/v1/embeddings", embeddings, methods=["POST"])]
