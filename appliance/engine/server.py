"""The engine's HTTP face on its Unix socket. Nothing here touches the model's context.

A stream ends in one of three ways: its last event was sent; the client went away, which cancels the request; or the
engine stopped. The first event is awaited before the status line is sent, so that refusals have a status of their own.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.engine.errors import EngineBusyError, EngineDrainingError, EngineRefusedError
from appliance.engine.served import receipt_digest
from appliance.engine.tiers import encode
from appliance.engine.wire import BODY_MAX_BYTES, decode_request
from appliance.engine.wire_events import encode_event

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from starlette.requests import Request as HttpRequest
    from starlette.types import Receive, Scope, Send

    from appliance.engine.metrics import EngineMetrics
    from appliance.engine.protocol import Engine, Event, Request
    from appliance.engine.tiers import EngineTiers

_DRAIN_RETRY_S = "30"


class EventStream(Response):
    """NDJSON of ``first`` and what follows; watches for the client's departure all the while."""

    media_type = "application/x-ndjson"

    def __init__(self, first: Event, rest: AsyncGenerator[Event, None]) -> None:
        super().__init__(headers={"cache-control": "no-store"})
        del self.headers["content-length"]
        self._first = first
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end, or until the client has gone; then close the iterator, which cancels the request."""
        async with aclosing(self._rest), anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, receive, tasks.cancel_scope)
            await self._send(scope, send)
            tasks.cancel_scope.cancel()

    @staticmethod
    async def _watch(receive: Receive, scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async def _send(self, _scope: Scope, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": encode_event(self._first), "more_body": True})
        async for event in self._rest:
            await send({"type": "http.response.body", "body": encode_event(event), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _refusal(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status, headers=headers)


async def _body(request: HttpRequest) -> bytes:
    """The whole body, or ``EngineRefusedError`` once it is larger than any request may be."""
    received = bytearray()
    async for part in request.stream():
        received += part
        if len(received) > BODY_MAX_BYTES:
            raise EngineRefusedError("request_too_large", f"the request is larger than {BODY_MAX_BYTES} bytes")
    return bytes(received)


def _check_served(request: Request, describe: Callable[[], dict[str, Any]]) -> None:
    """Raise ``EngineDrainingError`` for a request that was admitted for another model than this process has loaded."""
    if request.receipt_digest not in {None, receipt_digest(describe().get("receipt", {}))}:
        raise EngineDrainingError("another model serves now than the request was made for", "ask again")


def create_app(
    engine: Engine,
    metrics: EngineMetrics,
    *,
    healthy: Callable[[], bool],
    describe: Callable[[], dict[str, Any]],
    tiers: Callable[[], EngineTiers] | None = None,
) -> Starlette:
    """The routes of one engine. ``describe`` is what ``GET /model`` says beside the queue.

    ``tiers`` is what ``GET /memory`` says; there is none where an engine does not know.
    """

    async def generate(request: HttpRequest) -> Response:
        try:
            wanted = decode_request(await _body(request))
            _check_served(wanted, describe)
            events = engine.submit(wanted)
            first = await anext(events)
        except EngineRefusedError as error:
            metrics.ended("refused")
            return _refusal(422, error.code, error.message)
        except EngineBusyError as error:
            metrics.ended("busy")
            headers = {"retry-after": str(error.retry_after), "x-queue-position": str(error.position)}
            return _refusal(429, "busy", error.cause, headers)
        except EngineDrainingError as error:
            metrics.ended("draining")
            return _refusal(503, "draining", error.cause, {"retry-after": _DRAIN_RETRY_S})
        return EventStream(first, events)

    async def model(_request: HttpRequest) -> Response:
        status = engine.status()
        queue = {"running": status.running, "waiting": status.waiting, "limit": status.limit}
        return JSONResponse({**describe(), "queue": queue})

    async def healthz(_request: HttpRequest) -> Response:
        ready = healthy() and engine.status().accepting
        return JSONResponse({"status": "ok" if ready else "unavailable"}, status_code=200 if ready else 503)

    async def exposition(_request: HttpRequest) -> Response:
        metrics.queue(engine.status())
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def memory(_request: HttpRequest) -> Response:
        assert tiers is not None
        return Response(encode(tiers()), media_type="application/json", headers={"cache-control": "no-store"})

    return Starlette(
        routes=[
            Route("/generate", generate, methods=["POST"]),
            Route("/model", model),
            *([Route("/memory", memory)] if tiers is not None else []),
            Route("/healthz", healthz),
            Route("/metrics", exposition),
        ]
    )
