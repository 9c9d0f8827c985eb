"""Failures as HTTP bodies: OpenAI's error object under /v1, problem details (RFC 9457) elsewhere.

Only ``HttpError`` and Starlette's routing errors carry text to the caller. Anything else is a defect: it is logged
with its traceback, and the caller sees a fixed sentence.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import structlog
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from appliance.gateway.errors import HttpError, MalformedError

if TYPE_CHECKING:
    from starlette.requests import Request

_log = structlog.get_logger(__name__)
_API_PREFIX = "/v1/"
_DEFECT = "the gateway met an error of its own; the operator finds it in the gateway's log"
_ROUTING_CODES = {404: "not_found", 405: "method_not_allowed"}
_BODY_MAY_BE_UNREAD = frozenset({400, 401, 403, 404, 405, 413})


def problem_body(error: HttpError) -> dict[str, Any]:
    """Problem details; ``type`` is a URN-like code of the reference, never an address to fetch."""
    body: dict[str, Any] = {
        "type": f"urn:sovereign:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.cause,
        "code": error.code,
    }
    if error.hint:
        body["hint"] = error.hint
    if error.param:
        body["param"] = error.param
    if error.retry_after is not None:
        body["retry_after"] = error.retry_after
    return body


def openai_body(error: HttpError) -> dict[str, Any]:
    """The error object that the ``openai`` package turns into its exceptions."""
    message = f"{error.cause}; {error.hint}" if error.hint else error.cause
    return {"error": {"message": message, "type": error.openai_type, "code": error.code, "param": error.param}}


def error_response(path: str, error: HttpError, *, status: int | None = None) -> Response:
    """The response for ``error`` on ``path``.

    A body that was not read to its end leaves the connection in an unknown state, so it is closed with the refusal.
    """
    answered = status or error.status
    headers = dict(error.headers)
    if answered in _BODY_MAY_BE_UNREAD:
        headers["Connection"] = "close"
    if path.startswith(_API_PREFIX):
        return JSONResponse(openai_body(error), status_code=answered, headers=headers)
    body = problem_body(error)
    if answered != error.status:
        body |= {"status": answered, "title": HTTPStatus(answered).phrase.lower()}
    return JSONResponse(body, status_code=answered, headers=headers, media_type="application/problem+json")


async def on_http_error(request: Request, error: Exception) -> Response:
    """Starlette handler for ``HttpError``."""
    assert isinstance(error, HttpError)
    return error_response(request.url.path, error)


async def on_routing_error(request: Request, error: Exception) -> Response:
    """Starlette handler for its own 404 and 405."""
    assert isinstance(error, HTTPException)
    refusal = MalformedError(error.detail.lower(), code=_ROUTING_CODES.get(error.status_code))
    response = error_response(request.url.path, refusal, status=error.status_code)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


async def on_defect(request: Request, error: Exception) -> Response:
    """Starlette handler for everything unforeseen: a fixed sentence. uvicorn logs the traceback after it."""
    _log.error("defect", path=request.url.path, method=request.method, kind=type(error).__name__)
    return error_response(request.url.path, HttpError(_DEFECT))
