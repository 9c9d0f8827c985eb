"""The management application, on loopback only: is it alive, is it ready, what does it measure."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from appliance.errors import UnavailableError
from appliance.gateway import database
from appliance.gateway.errors import NotReadyError
from appliance.gateway.hierarchy_look import totals
from appliance.gateway.measured import measured

if TYPE_CHECKING:
    from starlette.requests import Request

    from appliance.gateway.assembly import Gateway

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ENGINE_S = 1.0
"""For an engine to say what it serves; who asks the port waits two."""
_METRICS_TYPE = "text/plain; version=1.0.0; charset=utf-8"


def create_management_app(gateway: Gateway) -> Starlette:  # noqa: C901 - one small function a route
    """/healthz, /readyz, /metrics, /documents (a sweep's due; how many get no vectors), /memory (sums).

    By group /packs and /confidence. By model /weights: the digest of those that answer, of each engine that does.
    """

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        checks = await readiness(gateway)
        return JSONResponse({"checks": checks}, status_code=200 if all(checks.values()) else 503)

    async def metrics(_: Request) -> Response:
        return Response(gateway.metrics.text(), media_type=_METRICS_TYPE)

    async def documents(_: Request) -> Response:
        try:
            since = await gateway.bringing.library.due()
        except database.DATABASE_DOWN:
            return JSONResponse({}, status_code=503)
        due = since.isoformat() if since is not None else None
        return JSONResponse({"sweep_due": due, "without_vectors": gateway.vectors.given_up})

    async def memory(_: Request) -> Response:
        return JSONResponse(await totals(gateway))

    async def packs(_: Request) -> Response:
        try:
            found = await gateway.packs.standing(group.name for group in gateway.site.groups if group.models)
        except NotReadyError:
            return JSONResponse({}, status_code=503)
        return JSONResponse(found)

    async def confidence(_: Request) -> Response:
        return JSONResponse({"groups": await measured(gateway)})

    async def weights(_: Request) -> Response:
        names = [model.name for model in gateway.site.models]
        told = await asyncio.gather(*(_weights(gateway, name) for name in names))
        return JSONResponse({name: digest for name, digest in zip(names, told, strict=True) if digest is not None})

    return Starlette(
        routes=[
            Route("/healthz", healthz, methods=["GET"]),
            Route("/readyz", readyz, methods=["GET"]),
            Route("/metrics", metrics, methods=["GET"]),
            Route("/documents", documents, methods=["GET"]),
            Route("/memory", memory, methods=["GET"]),
            Route("/packs", packs, methods=["GET"]),
            Route("/confidence", confidence, methods=["GET"]),
            Route("/weights", weights, methods=["GET"]),
        ]
    )


async def _weights(gateway: Gateway, name: str) -> str | None:
    """The digest that the engine of a model says, which may be hostile; None where it says none in time."""
    try:
        async with asyncio.timeout(_ENGINE_S):
            digest = (await gateway.catalogue.model(name)).receipt.get("digest")
    except (NotReadyError, TimeoutError):
        return None
    return digest if isinstance(digest, str) and _DIGEST.fullmatch(digest) else None


async def readiness(gateway: Gateway) -> dict[str, bool]:
    """Every dependency by name: whether it would serve a request now."""
    engines = list(gateway.engines.items())
    answers = await asyncio.gather(
        database.answers(gateway.database),
        gateway.audit.healthy(),
        _identity(gateway),
        *(engine.healthy() for _, engine in engines),
    )
    names = ["database", "audit", "identity", *(f"engine-{name}" for name, _ in engines)]
    return {"accepting": not gateway.running.draining, **dict(zip(names, answers, strict=True))}


async def _identity(gateway: Gateway) -> bool:
    try:
        await gateway.verifier.ready()
    except UnavailableError:
        return False
    return True
