"""/api/expert/briefs: what a group is told overnight, for its experts: to read, to accept, to strike lines of, to undo.

Each act is in the log before it holds. Groups are the expert's own at this moment, and what is shown of a document is
what their group may read now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.gateway.brief_values import ACCEPTABLE, check_acceptable
from appliance.gateway.errors import NotFoundError
from appliance.gateway.expert_routes import desk_of
from appliance.gateway.page_routes import moment, path_id
from appliance.memory.briefs import changes, fingerprint

if TYPE_CHECKING:
    from starlette.requests import Request

    from appliance.gateway.assembly import Gateway
    from appliance.gateway.brief_values import Brief, Run
    from appliance.memory.briefs import Line


async def listed(request: Request) -> Response:
    """GET /api/expert/briefs: of each of the expert's groups what is in force, and the latest run beside it."""
    async with desk_of(request) as desk:
        named = [one.name for one in desk.gateway.site.groups if one.brief and one.name in desk.caller.groups]
        async with desk.look("brief", " ".join(named) or desk.named) as gateway:
            return JSONResponse({"groups": [await _group(gateway, name) for name in named]})


async def accept(request: Request) -> Response:
    """POST /api/expert/briefs/{id}/acceptance: have the group told it, by the expert's word."""
    async with desk_of(request) as desk:
        store = desk.gateway.briefs.store
        found = await store.one(path_id(request, "id"), desk.caller.groups)
        check_acceptable(found.run)
        desk.check_bound()
        await desk.enter("update", "brief", str(found.run.id))
        made = await store.put_in_force(found.run, accepted=True)
        return JSONResponse({"digest": made.digest})


async def strike(request: Request) -> Response:
    """DELETE /api/expert/briefs/{id}/lines/{words}: the group is not told that sentence any more."""
    async with desk_of(request) as desk:
        store, words = desk.gateway.briefs.store, request.path_params["words"]
        found = await store.one(path_id(request, "id"), desk.caller.groups)
        group = found.run.group
        if words not in {fingerprint(group, one.spot.source, one.text) for one in found.lines}:
            raise NotFoundError("there is no such line")
        desk.check_bound()
        await desk.enter("delete", "brief", f"{found.run.id} {words[:16]}")
        await store.strike(found.run.id, group, words)
        left = await store.one(found.run.id, [group])
        return JSONResponse({"digest": left.digest})


async def back(request: Request) -> Response:
    """DELETE /api/expert/briefs/{id}: take back what is in force; the one before is told again, or none."""
    async with desk_of(request) as desk:
        store = desk.gateway.briefs.store
        found = await store.one(path_id(request, "id"), desk.caller.groups)
        if found.run.state != "in_force":
            raise NotFoundError("that brief is not in force")
        desk.check_bound()
        await desk.enter("delete", "brief", str(found.run.id))
        before = await store.back(found.run.group, found.run.id)
        return JSONResponse({"digest": before.digest if before is not None else None})


async def _group(gateway: Gateway, group: str) -> dict[str, Any]:
    store = gateway.briefs.store
    in_force = await store.in_force(group)
    latest = await store.latest(group)
    waiting = await store.one(latest.id, [group]) if latest is not None and latest.state in ACCEPTABLE else None
    told = in_force.lines if in_force is not None else ()
    return {
        "name": group,
        "last": _run(latest) if latest is not None else None,
        "in_force": _shown(group, in_force, await _before(gateway, in_force)) if in_force is not None else None,
        "waiting": _shown(group, waiting, told) if waiting is not None else None,
    }


async def _before(gateway: Gateway, found: Brief) -> tuple[Line, ...]:
    """What stands of the brief before it."""
    if found.run.against is None:
        return ()
    try:
        return (await gateway.briefs.store.one(found.run.against, [found.run.group])).lines
    except NotFoundError:
        return ()


def _shown(group: str, found: Brief, before: tuple[Line, ...]) -> dict[str, Any]:
    changed = changes(before, found.lines)
    new = set(changed.new)
    lines = [
        {
            "id": fingerprint(group, one.spot.source, one.text),
            "text": one.text,
            "above": one.above,
            "kind": one.spot.kind,
            "new": one in new,
        }
        for one in found.lines
    ]
    gone = [{"text": one.text, "above": one.above} for one in changed.gone]
    return {"id": str(found.run.id), "digest": found.digest, "lines": lines, "gone": gone}


def _run(run: Run) -> dict[str, Any]:
    return {"state": run.state, "cause": run.cause, "at": moment(run.changed)}


routes = [
    Route("/api/expert/briefs", listed, methods=["GET"]),
    Route("/api/expert/briefs/{id}/acceptance", accept, methods=["POST"]),
    Route("/api/expert/briefs/{id}/lines/{words}", strike, methods=["DELETE"]),
    Route("/api/expert/briefs/{id}", back, methods=["DELETE"]),
]
