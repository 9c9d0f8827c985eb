"""/api: what the page reads and changes, except for the stream of an answer (``page_stream``)."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.gateway.access import visit
from appliance.gateway.assembly import gateway_of
from appliance.gateway.body import read_json
from appliance.gateway.entitlements import allowed_models, grant
from appliance.gateway.errors import NotFoundError

if TYPE_CHECKING:
    from starlette.requests import Request

    from appliance.engine.client import ModelInfo
    from appliance.gateway.conversations import Conversation, Message, Summary
    from appliance.gateway.expert_answers import ExpertAnswer


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewConversation(_Body):
    """POST /api/conversations."""

    model: str = Field(min_length=1, max_length=200)


class Rename(_Body):
    """PATCH /api/conversations/{id}."""

    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


async def session(request: Request) -> Response:
    """GET /api/session: who is signed in, what they may use."""
    gateway = gateway_of(request)
    async with visit(request) as person:
        found = await gateway.catalogue.available(allowed_models(gateway.site, person.caller.groups))
        models = {name: info for name, info in found.items() if info.record.get("role", "chat") == "chat"}
        data = person.session.data
        return JSONResponse(
            {
                "user": {"name": data.username, "groups": list(data.groups), "roles": list(data.roles)},
                "csrf": gateway.sessions.csrf_token(person.session.token),
                "languages": list(gateway.site.languages),
                "site": {"name": gateway.site.name},
                "models": [_model(name, info) for name, info in models.items()],
                "documents": await gateway.documents.open_to(person.caller.groups),
                "expert_answers": await gateway.expert_answers.unseen(person.caller.subject),
                "brings": list(gateway.bringing.groups_of(person.caller.groups)),
            }
        )


async def list_conversations(request: Request) -> Response:
    """GET /api/conversations."""
    async with visit(request) as person:
        found = await gateway_of(request).conversations.listed(person.caller.subject)
        return JSONResponse({"conversations": [_summary(one) for one in found]})


async def create_conversation(request: Request) -> Response:
    """POST /api/conversations."""
    gateway = gateway_of(request)
    async with visit(request) as person:
        asked = await read_json(request, NewConversation)
        granted = grant(gateway.site, person.caller.groups, asked.model)
        made = await gateway.conversations.create(person.caller.subject, granted.model)
        return JSONResponse(_summary(made), status_code=201)


async def read_conversation(request: Request) -> Response:
    """GET /api/conversations/{id}."""
    gateway = gateway_of(request)
    async with visit(request) as person:
        found = await gateway.conversations.read(person.caller.subject, path_id(request, "id"))
        answers = await gateway.expert_answers.of(person.caller.subject, found.id)
        return JSONResponse({**_conversation(found), "expert_answers": [shown_answer(one) for one in answers]})


async def rename_conversation(request: Request) -> Response:
    """PATCH /api/conversations/{id}."""
    async with visit(request) as person:
        asked = await read_json(request, Rename)
        named = await gateway_of(request).conversations.rename(
            person.caller.subject, path_id(request, "id"), asked.title
        )
        return JSONResponse(_summary(named))


async def delete_conversation(request: Request) -> Response:
    """DELETE /api/conversations/{id}."""
    async with visit(request) as person:
        await gateway_of(request).conversations.delete(person.caller.subject, path_id(request, "id"))
        return Response(status_code=204)


def path_id(request: Request, name: str) -> uuid.UUID:
    """An id from the path; what is no id does not exist. Raises ``NotFoundError``."""
    try:
        return uuid.UUID(request.path_params[name])
    except ValueError as error:
        raise NotFoundError("there is nothing by that id") from error


def moment(at: datetime) -> str:
    """RFC 3339 in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def shown_answer(one: ExpertAnswer) -> dict[str, Any]:
    """An expert's answer, without who wrote it."""
    return {
        "id": str(one.id),
        "message_id": str(one.message_id),
        "group": one.group,
        "answer": one.text,
        "created": moment(one.created),
        "seen": one.seen,
    }


def _model(name: str, info: ModelInfo) -> dict[str, Any]:
    receipt = info.receipt
    return {
        "id": name,
        "licence": receipt.get("licence"),
        "producer": receipt.get("producer"),
        "signers": list(receipt.get("signers", ())),
        "digest": receipt["digest"],
        "waived": bool(receipt.get("waivers")),
        "context_tokens": info.context_tokens,
    }


def _summary(one: Summary) -> dict[str, Any]:
    return {"id": str(one.id), "title": one.title, "model": one.model, "updated": moment(one.updated)}


def _conversation(found: Conversation) -> dict[str, Any]:
    return {
        "id": str(found.id),
        "title": found.title,
        "model": found.model,
        "messages": [_message(one) for one in found.messages],
        "sent_before": [str(one) for one in found.sent_before],
    }


def _message(one: Message) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": str(one.id),
        "role": one.role,
        "content": one.content,
        "created": moment(one.created),
    }
    if one.finish_reason is not None:
        shown["finish_reason"] = one.finish_reason
    if one.receipt is not None:
        shown["receipt"] = one.receipt
    if (said := one.feedback) is not None:
        shown["feedback"] = asdict(said) | {"reasons": list(said.reasons)}
    return shown


routes = [
    Route("/api/session", session, methods=["GET"]),
    Route("/api/conversations", list_conversations, methods=["GET"]),
    Route("/api/conversations", create_conversation, methods=["POST"]),
    Route("/api/conversations/{id}", read_conversation, methods=["GET"]),
    Route("/api/conversations/{id}", rename_conversation, methods=["PATCH"]),
    Route("/api/conversations/{id}", delete_conversation, methods=["DELETE"]),
]
