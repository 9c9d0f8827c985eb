"""The public application: routes, refusals, headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.gateway import (
    auditor_routes,
    auth_routes,
    brief_routes,
    bringing_routes,
    embedding_routes,
    expert_answer_routes,
    expert_routes,
    feedback_routes,
    memory_routes,
    openai_routes,
    page_routes,
    page_stream,
    passage_routes,
    problems,
    static_files,
)
from appliance.gateway.assembly import Gateway, Parts, gateway_of
from appliance.gateway.database import DATABASE_DOWN
from appliance.gateway.errors import HttpError, NotReadyError
from appliance.gateway.headers import SecurityHeaders, security_headers

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp

    from appliance.gateway.static_files import StaticFiles
    from appliance.site.config import SiteConfig

_log = structlog.get_logger(__name__)
CLI_CLIENT = "sovereign-cli"


def create_app(parts: Parts, static: StaticFiles | None = None) -> Starlette:
    """The application over ``parts``; ``app.state.gateway`` is the ``Gateway`` that its routes use."""
    gateway = Gateway(parts)
    files = static or static_files.packaged()
    headers = security_headers(issuer=parts.site.issuer, tls=gateway.cookies.secure)
    app = _Application(
        headers,
        known_hosts(parts.site),
        routes=[
            *openai_routes.routes,
            *embedding_routes.routes,
            *auth_routes.routes,
            *page_routes.routes,
            *page_stream.routes,
            *feedback_routes.routes,
            *expert_routes.routes,
            *expert_answer_routes.routes,
            *brief_routes.routes,
            *passage_routes.routes,
            *bringing_routes.routes,
            *auditor_routes.routes,
            *memory_routes.routes,
            Route("/.well-known/sovereign", discovery, methods=["GET"]),
            *files.routes(),
        ],
        exception_handlers={
            HttpError: problems.on_http_error,
            HTTPException: problems.on_routing_error,
            Exception: problems.on_defect,
            **dict.fromkeys(DATABASE_DOWN, on_database_down),
        },
    )
    app.state.gateway = gateway
    return app


class _Application(Starlette):
    """Starlette with the security headers outermost, so that its answer to a defect carries them, too."""

    def __init__(self, headers: dict[str, str], hosts: frozenset[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._headers = headers
        self._hosts = hosts

    def build_middleware_stack(self) -> ASGIApp:
        """Starlette's stack inside ours."""
        return SecurityHeaders(super().build_middleware_stack(), headers=self._headers, hosts=self._hosts)


def known_hosts(site: SiteConfig) -> frozenset[str]:
    """Host headers this server answers to: its URL's, and the address it binds to (for callers without its name)."""
    listen = site.listen
    address = f"[{listen.host}]" if ":" in listen.host else listen.host
    known = {site.gateway_url.partition("://")[2], f"{address}:{listen.gateway_port}"}
    default = 443 if site.scheme == "https" else 80
    if listen.gateway_port == default:
        known |= {listen.hostname, address}
    return frozenset(known)


async def discovery(request: Request) -> Response:
    """GET /.well-known/sovereign: what a terminal needs to sign in."""
    site = gateway_of(request).site
    return JSONResponse({"issuer": site.issuer, "cli_client_id": CLI_CLIENT, "api_version": 1})


async def on_database_down(request: Request, error: Exception) -> Response:
    """The database does not answer: 503, and the cause in the gateway's log."""
    _log.error("database down", path=request.url.path, cause=type(error).__name__, exc_info=error)
    refusal = NotReadyError("the database does not answer", code="database_unavailable", retry_after=5)
    return problems.error_response(request.url.path, refusal)
