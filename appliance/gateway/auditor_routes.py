"""/api/audit: the log, for people with the role of an auditor, read-only.

Whatever an auditor looks at is in the log before it is shown, and so is whoever asks without the role. People appear by
pseudonyms; what was said is not here (``sovereign reveal``). Nothing here judges the log: who wants to know whether it
is whole takes a copy, or an export, and checks it with means of their own.
"""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.audit.errors import AuditUnavailableError
from appliance.audit.reading import MAX_EXPORTED
from appliance.audit.search import Wanted
from appliance.errors import SovereignError
from appliance.gateway.access import visit
from appliance.gateway.assembly import gateway_of
from appliance.gateway.errors import ForbiddenError, NotReadyError, UnprocessableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

    from appliance.audit.search import Found
    from appliance.gateway.ports import LogReader

AUDITOR = "auditor"
PAGE = 50
_FILTERS = ("subject", "group", "kind", "outcome", "model")
_DAYS = ("since", "until")
_POSITIONS = ("before", "first", "last")
_MAX_TEXT = 200
_NUMBER = re.compile(r"[0-9]{1,15}")


@asynccontextmanager
async def audit_of(request: Request, what: str, *names: str) -> AsyncGenerator[tuple[LogReader, dict[str, str | int]]]:
    """The log's reader for an auditor, and what the query says of ``names``; both only once the log holds that.

    Raises ``ForbiddenError`` for everybody else, ``UnprocessableError`` for a query that makes no sense.
    """
    gateway = gateway_of(request)
    async with visit(request) as person:
        if AUDITOR not in person.session.data.roles:
            raise ForbiddenError("this is for auditors", "ask whoever administers this site", code="not_an_auditor")
        asked = {name: _read(name, request.query_params[name]) for name in names if request.query_params.get(name)}
        if gateway.log_reader is None:
            raise NotReadyError("the log cannot be read here", code="audit_unavailable")
        await gateway.ledger.log_read(caller=person.caller, what=what, asked=asked)
        try:
            yield gateway.log_reader, asked
        except AuditUnavailableError as error:
            raise NotReadyError("the audit log does not answer", code="audit_unavailable", retry_after=5) from error
        except SovereignError as error:
            raise UnprocessableError(error.cause, error.hint, code="not_in_the_log") from error


async def state(request: Request) -> Response:
    """GET /api/audit/state: how far the log goes, under which checkpoint, and what witnesses saw."""
    async with audit_of(request, "state") as (reader, _):
        return JSONResponse(await reader.state())


async def entries(request: Request) -> Response:
    """GET /api/audit/entries: the latest that are as asked for, and where to go on."""
    async with audit_of(request, "entries", "before", *_DAYS, *_FILTERS) as (reader, asked):
        before = asked.get("before")
        page = await reader.search(_wanted(asked), before=int(before) if before is not None else None, limit=PAGE)
        shown = [_shown(one) for one in page.found]
        return JSONResponse({"entries": shown, "before": page.before, "size": page.size})


async def figures(request: Request) -> Response:
    """GET /api/audit/figures: use by day, refusals by reason, energy; of a period of days."""
    async with audit_of(request, "figures", *_DAYS) as (reader, asked):
        days = [str(asked[name]) if name in asked else None for name in _DAYS]
        return JSONResponse(await reader.usage(days[0], days[1]))


async def export(request: Request) -> Response:
    """GET /api/audit/export: a part of the log with its proofs and the script that checks it, a ZIP."""
    async with audit_of(request, "export", "first", "last") as (reader, asked):
        first, last = int(asked.get("first", -1)), int(asked.get("last", -1))
        if not 0 <= first <= last < first + MAX_EXPORTED:
            raise UnprocessableError(f"1 to {MAX_EXPORTED} entries are exported at once", param="last")
        name = f"entries-{first}" if first == last else f"entries-{first}-{last}"
        headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
        return Response(await reader.export(first, last), media_type="application/zip", headers=headers)


def _read(name: str, value: str) -> str | int:
    """A value of the query. Raises ``UnprocessableError``."""
    if name in _POSITIONS:
        if not _NUMBER.fullmatch(value):
            raise UnprocessableError(f"{name} is a position in the log, a number", param=name)
        return int(value)
    if name in _DAYS:
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError as error:
            raise UnprocessableError(f"{name} is a day like 2026-11-26", param=name) from error
    if len(value) > _MAX_TEXT:
        raise UnprocessableError(f"{name} has {_MAX_TEXT} characters at most", param=name)
    return value


def _wanted(asked: dict[str, str | int]) -> Wanted:
    texts = {name: str(asked[name]) for name in _FILTERS if name in asked}
    since = _midnight(str(asked["since"])) if "since" in asked else None
    until = _midnight(str(asked["until"]), days=1) if "until" in asked else None
    return Wanted(since=since, until=until, **texts)


def _midnight(day: str, days: int = 0) -> int:
    """When ``day`` begins in UTC, or a day that many days later, in milliseconds."""
    try:
        begun = datetime.combine(date.fromisoformat(day) + timedelta(days=days), datetime.min.time(), UTC)
    except OverflowError as error:
        raise UnprocessableError("there is no day after that", param="until") from error
    return int(begun.timestamp() * 1000)


def _shown(found: Found) -> dict[str, Any]:
    return {
        "index": found.index,
        "time": found.time,
        "kind": found.kind,
        "subject": found.subject,
        "groups": list(found.groups),
        "model": found.model,
        "outcomes": list(found.outcomes),
        "event": found.event,
    }


routes = [
    Route("/api/audit/state", state, methods=["GET"]),
    Route("/api/audit/entries", entries, methods=["GET"]),
    Route("/api/audit/figures", figures, methods=["GET"]),
    Route("/api/audit/export", export, methods=["GET"]),
]
