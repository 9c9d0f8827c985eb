"""/api/memory: the hierarchy of memories, for people with the role that administers the site.

The look is in the log before anything is shown; whoever asks without the role leaves a refusal there. Groups are named
here and nowhere else; of persons there are sums only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.gateway.access import check_same_site, visit
from appliance.gateway.assembly import gateway_of
from appliance.gateway.errors import ForbiddenError
from appliance.gateway.hierarchy_look import look

if TYPE_CHECKING:
    from starlette.requests import Request

ADMIN = "admin"


async def memory(request: Request) -> Response:
    """GET /api/memory: every tier of every model and of the library, by scope."""
    gateway = gateway_of(request)
    async with visit(request) as person:
        if ADMIN not in person.session.data.roles:
            raise ForbiddenError(
                "this is for people who administer the site", "ask one of them for the role", code="not_an_admin"
            )
        check_same_site(gateway, request)  # a look is an entry: no other site's page is to cause one
        async with gateway.looks.turn(person.caller.subject):
            await gateway.ledger.memory_read(caller=person.caller)
            found = await look(gateway)
    return JSONResponse(found.data())


routes = [Route("/api/memory", memory, methods=["GET"])]
