"""/api/expert-answers: what experts answered to whoever is signed in, and that they have seen it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.gateway.access import visit
from appliance.gateway.assembly import gateway_of
from appliance.gateway.body import read_json
from appliance.gateway.expert_answers import LISTED
from appliance.gateway.page_routes import shown_answer

if TYPE_CHECKING:
    from starlette.requests import Request


class Seen(BaseModel):
    """POST /api/expert-answers/seen."""

    model_config = ConfigDict(extra="forbid")
    ids: Annotated[list[uuid.UUID], Field(max_length=LISTED)]


async def listed(request: Request) -> Response:
    """GET /api/expert-answers: newest first, each with the question it answers."""
    async with visit(request) as person:
        found = await gateway_of(request).expert_answers.of(person.caller.subject)
        shown: list[dict[str, Any]] = [
            {**shown_answer(one), "question": one.question, "conversation_id": str(one.conversation_id)}
            for one in reversed(found)
        ]
        return JSONResponse({"answers": shown})


async def seen(request: Request) -> Response:
    """POST /api/expert-answers/seen: the page has shown them."""
    async with visit(request) as person:
        asked = await read_json(request, Seen)
        await gateway_of(request).expert_answers.see(person.caller.subject, asked.ids)
        return Response(status_code=204)


routes = [
    Route("/api/expert-answers", listed, methods=["GET"]),
    Route("/api/expert-answers/seen", seen, methods=["POST"]),
]
