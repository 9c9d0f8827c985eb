"""/api/audit: the log, for people with the role of an auditor, read-only.

Whatever an auditor looks at is in the log before it is shown. Whoever asks without the role leaves a refusal there, as
any other: within the bound of ``rate_bound``. People appear by pseudonyms; whom these stand for is told apart, to
auditors with one role more, and each time the log says whose names were asked for. What was said is not here
(``sovereign reveal``). Nothing here judges the log: who wants to know whether it is whole takes a copy, or an export,
and checks it with means of their own.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.audit.errors import AuditUnavailableError
from appliance.audit.reading import MAX_EXPORTED
from appliance.errors import SovereignError, UnavailableError
from appliance.gateway.access import check_same_site, visit
from appliance.gateway.assembly import gateway_of
from appliance.gateway.audit_query import DAYS, FILTERS, SUBJECTS, read_query, subjects_of, told, wanted
from appliance.gateway.errors import ForbiddenError, HttpError, NotReadyError, UnprocessableError
from appliance.identity.clients import NAMES_ROLE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

    from appliance.audit.search import Found
    from appliance.gateway.access import Visitor
    from appliance.gateway.assembly import Gateway
    from appliance.gateway.audit_query import Asked
    from appliance.gateway.ports import LogReader

AUDITOR = "auditor"
PAGE = 50


@asynccontextmanager
async def audit_of(request: Request, what: str, *names: str) -> AsyncGenerator[tuple[LogReader, Asked]]:
    """The log's reader for an auditor, and what the query says of ``names``; both only once the log holds that.

    Raises ``ForbiddenError`` for everybody else, ``UnprocessableError`` for a query that makes no sense,
    ``ExhaustedError`` for too many at once.
    """
    gateway = gateway_of(request)
    async with visit(request) as person:
        _require(person, AUDITOR, "this is for auditors", "not_an_auditor")
        check_same_site(gateway, request)  # a look is an entry: no other site's page is to cause one
        asked = read_query(request.query_params, *names)
        if gateway.log_reader is None:
            raise NotReadyError("the log cannot be read here", code="audit_unavailable")
        async with _entered(gateway, person, what, asked):
            yield gateway.log_reader, asked


def _require(person: Visitor, role: str, cause: str, code: str) -> None:
    if role not in person.session.data.roles:
        raise ForbiddenError(cause, "ask whoever administers this site", code=code)


@asynccontextmanager
async def _entered(gateway: Gateway, person: Visitor, what: str, asked: Asked) -> AsyncGenerator[None]:
    """Inside, the log says that ``person`` looks at ``what``, and nothing else is looked at by them."""
    async with gateway.looks.turn(person.caller.subject):
        await gateway.ledger.log_read(caller=person.caller, what=what, asked=told(asked, gateway.site))
        try:
            yield
        except HttpError:
            raise
        except AuditUnavailableError as error:
            raise NotReadyError("the audit log does not answer", code="audit_unavailable", retry_after=5) from error
        except UnavailableError as error:
            raise NotReadyError("keycloak does not answer", code="identity_unavailable", retry_after=5) from error
        except SovereignError as error:
            raise UnprocessableError(error.cause, error.hint, code="not_in_the_log") from error


async def state(request: Request) -> Response:
    """GET /api/audit/state: how far the log goes, under which checkpoint, and what witnesses saw."""
    async with audit_of(request, "state") as (reader, _):
        return JSONResponse(await reader.state())


async def entries(request: Request) -> Response:
    """GET /api/audit/entries: the latest that are as asked for, and where to go on."""
    async with audit_of(request, "entries", "before", *DAYS, *FILTERS) as (reader, asked):
        before = asked.get("before")
        page = await reader.search(wanted(asked), before=int(before) if before is not None else None, limit=PAGE)
        shown = [_shown(one) for one in page.found]
        return JSONResponse({"entries": shown, "before": page.before, "size": page.size})


async def figures(request: Request) -> Response:
    """GET /api/audit/figures: use by day, refusals, how answers ended, failed sign-ins, energy; of a period of days."""
    async with audit_of(request, "figures", *DAYS) as (reader, asked):
        days = [str(asked[name]) if name in asked else None for name in DAYS]
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


async def names(request: Request) -> Response:
    """GET /api/audit/names: whom pseudonyms stand for; null for those to which no account leads any more.

    For auditors who have the role for names beside their own, where the site gives it to anybody.
    """
    gateway = gateway_of(request)
    async with visit(request) as person:
        _require(person, AUDITOR, "this is for auditors", "not_an_auditor")
        _require(person, NAMES_ROLE, "names are for auditors who may see them", "names_not_allowed")
        check_same_site(gateway, request)
        if gateway.names is None:
            raise ForbiddenError("this site shows names to nobody", code="names_not_allowed")
        asked = read_query(request.query_params, SUBJECTS)
        subjects = subjects_of(asked)
        async with _entered(gateway, person, "names", asked):
            return JSONResponse({"names": await gateway.names.of(subjects)})


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
    Route("/api/audit/names", names, methods=["GET"]),
]
