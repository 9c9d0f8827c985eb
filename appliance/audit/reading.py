"""What the writer lets be read over its socket: by the gateway, for auditors who look at the page, and by the operator.

GET /state              the checkpoint over everything, and what witnesses sent back
GET /size               how many entries are settled, without settling more: asking costs no commit anything
GET /bundle?index=N     an entry bundle of the settled log, as it lies there
GET /export?first=&last=   a part of the log with its proofs, as ``sovereign audit export`` writes it, in one ZIP
GET /usage?since=&until=   figures, counted in a process of its own, so that commits do not wait for it

Entries are given out as they are; looking through them is the reader's work, not the writer's.
"""

from __future__ import annotations

import asyncio
import io
import zipfile
from datetime import date
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.audit.errors import AuditUnavailableError, BadRequestError, NotYoursError
from appliance.audit.export import export_files
from appliance.audit.roles import GATEWAY, OPERATOR
from appliance.audit.shelf import on_shelf
from appliance.audit.tiles import WIDTH, TileReader
from appliance.site.peer_protocol import peer

if TYPE_CHECKING:
    from starlette.requests import Request

    from appliance.audit.log import TileLog
    from appliance.audit.roles import Roles
    from appliance.audit.usage_process import UsageProcess
    from appliance.audit.writer import GroupWriter

MAX_EXPORTED = 4096
"""Entries in one ZIP; more are for ``sovereign audit export``, which writes a folder."""


def reading_routes(writer: GroupWriter, log: TileLog, roles: Roles, counting: UsageProcess) -> list[Route]:
    """The routes; ``counting`` makes reports."""

    def require_reader(request: Request) -> None:
        sender = peer(request.scope)
        if not {GATEWAY, OPERATOR} & set(roles.of(sender.uid if sender else None)):
            raise NotYoursError("the log is read by the gateway and by the operator")

    async def state(request: Request) -> Response:
        require_reader(request)
        signed = await writer.settle()
        head = signed.head
        witnesses = await run_in_threadpool(on_shelf, log.directory, log.vkeys)
        return JSONResponse(
            {
                "origin": head.origin,
                "size": head.size,
                "signed_at": head.signed_at,
                "checkpoint": signed.note,
                "witnesses": [{"name": name, "size": seen.size, "time": seen.time} for name, seen in witnesses],
            }
        )

    async def size(request: Request) -> Response:
        require_reader(request)
        settled = writer.settled or await writer.settle()
        return JSONResponse({"size": settled.head.size})

    async def bundle(request: Request) -> Response:
        require_reader(request)
        held = (writer.settled or await writer.settle()).head.size
        index = _number(request, "index")
        if index * WIDTH >= held:
            raise BadRequestError(f"the log holds {held} entries in {-(-held // WIDTH)} bundles")
        data = await run_in_threadpool(TileReader(log.directory, held, pruned=log.pruned).read, None, index)
        return Response(data, media_type="application/octet-stream")

    async def export(request: Request) -> Response:
        require_reader(request)
        first, last = _number(request, "first"), _number(request, "last")
        if not first <= last < first + MAX_EXPORTED:
            raise BadRequestError(f"1 to {MAX_EXPORTED} entries are exported at once")
        await writer.settle()
        files = await run_in_threadpool(export_files, log.directory, first=first, last=last, vkeys=log.vkeys)
        return Response(await run_in_threadpool(_zipped, files), media_type="application/zip")

    async def usage(request: Request) -> Response:
        require_reader(request)
        since, until = (_day(request, name) for name in ("since", "until"))
        await writer.settle()
        return JSONResponse(await _counted(counting, since, until))

    routes = {"/state": state, "/size": size, "/bundle": bundle, "/export": export, "/usage": usage}
    return [Route(path, endpoint) for path, endpoint in routes.items()]


async def _counted(counting: UsageProcess, since: date | None, until: date | None) -> dict[str, Any]:
    try:
        return await asyncio.shield(asyncio.wrap_future(counting.report(since, until)))
    except MemoryError as error:
        raise AuditUnavailableError(
            "the log cannot be counted in the memory that there is for it",
            "`sovereign audit report` counts a copy elsewhere",
        ) from error
    except (OSError, RuntimeError) as error:  # RuntimeError: its process was killed
        raise AuditUnavailableError(f"the log cannot be counted now: {error}", "try again in a moment") from error


def _zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 18):  # noqa: PLR2004 - digits of a position
        raise BadRequestError(f"{name} must be a number")
    return int(text)


def _day(request: Request, name: str) -> date | None:
    text = request.query_params.get(name)
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise BadRequestError(f"{name} must be a day like 2026-11-26") from error
