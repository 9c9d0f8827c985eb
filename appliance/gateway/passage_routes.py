"""POST /api/passages: passages of documents, by the places that a receipt names, for the page that shows them.

Nothing of a passage is kept with an answer: it is read where it lies, under the groups that the person has now. One
of a document that was replaced or deleted, or that none of their groups may see any more, is ``null``, either way.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.gateway.access import visit
from appliance.gateway.assembly import gateway_of
from appliance.gateway.body import read_json
from appliance.gateway.errors import NotReadyError
from appliance.gateway.grounding import worded
from appliance.memory.documents import Place

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_PLACES = 64
_Offset = Annotated[int, Field(ge=0, lt=1 << 40)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class PlaceAsked(_Body):
    """A place as a receipt names it."""

    document: Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
    version: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    first: _Offset
    last: _Offset

    def place(self) -> Place:
        """As the library knows it."""
        return Place(uuid.UUID(self.document), self.version, self.first, self.last)


class Passages(_Body):
    """POST /api/passages."""

    places: Annotated[list[PlaceAsked], Field(min_length=1, max_length=MAX_PLACES)]


async def read_passages(request: Request) -> Response:
    """POST /api/passages."""
    async with visit(request) as person:
        asked = await read_json(request, Passages)
        places = [one.place() for one in asked.places]
        found = await gateway_of(request).documents.still(places, person.caller.groups)
        if found is None:
            raise NotReadyError("the database does not answer", code="database_unavailable", retry_after=5)
        return JSONResponse({"passages": [worded(one) if one is not None else None for one in found]})


routes = [Route("/api/passages", read_passages, methods=["POST"])]
