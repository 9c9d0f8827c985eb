"""PUT /api/documents/{group}/{name}: somebody brings a document for a group, as the file's bytes."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.gateway.access import visit
from appliance.gateway.assembly import gateway_of
from appliance.gateway.body import pieces
from appliance.gateway.bringing import MAX_UPLOAD
from appliance.gateway.errors import UnprocessableError

if TYPE_CHECKING:
    from starlette.requests import Request

    from appliance.memory.importing import Imported

MAX_NAME = 200
SECONDS = 120.0
LEAST = 256 << 10
"""Bytes a second of a body, on the whole: who sends fewer would hold up others for nothing."""


async def bring(request: Request) -> Response:
    """PUT /api/documents/{group}/{name}."""
    bringing = gateway_of(request).bringing
    async with visit(request) as person:
        group, name = request.path_params["group"], file_name(request.path_params["name"])
        bringing.check(person.caller, group)
        body = pieces(request, MAX_UPLOAD, SECONDS, LEAST)
        return JSONResponse(_told(await bringing.take(person.caller, group, name, body)))


def file_name(said: str) -> str:
    """A file's name as it is kept: no path, nothing that no reader sees. Raises ``UnprocessableError``."""
    name = unicodedata.normalize("NFC", said).strip()
    if not 0 < len(name) <= MAX_NAME or not name.isprintable() or "/" in name or "\\" in name or name.startswith("."):
        raise UnprocessableError(
            f"a file's name has 1 to {MAX_NAME} printable letters and no path", "rename it", param="name"
        )
    return name


def _told(taken: Imported) -> dict[str, Any]:
    document = taken.document
    reason = taken.refusal.reason if taken.refusal is not None else document.reason if document is not None else None
    ready = document is not None and document.state == "ready"
    return {
        "outcome": taken.outcome,
        "reason": reason if taken.outcome == "refused" else None,
        "title": document.title if document is not None and ready else None,
        "passages": document.passages if document is not None and ready else None,
    }


routes = [Route("/api/documents/{group}/{name}", bring, methods=["PUT"])]
