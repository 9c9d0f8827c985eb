"""The thin adapter as a server, so that anyone's OpenAI load generator can be pointed at the engine's socket.

    python -m tests.bench.engine.face --engine SOCKET --port 8080

It listens on loopback, asks for no sign-in and keeps no log: a tool for measuring, and no part of the appliance.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from appliance.engine.client import EngineClient, EngineRefusedError, EngineUnavailableError
from appliance.engine.errors import EngineBusyError
from appliance.engine.protocol import End, Token
from tests.bench.engine import shape

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request as HttpRequest

    from appliance.engine.protocol import Event


def create_app(client: EngineClient) -> Starlette:
    """The routes in front of ``client``'s engine."""

    async def completions(http: HttpRequest) -> Response:
        body = await http.json()
        try:
            events = client.generate(shape.request(body))
            first = await anext(events)
        except (ValueError, EngineRefusedError) as error:
            return _problem(400, str(error))
        except EngineBusyError as error:
            return _problem(429, str(error))
        except EngineUnavailableError as error:
            return _problem(503, str(error))
        if body.get("stream"):
            return StreamingResponse(_stream(first, events), media_type="text/event-stream")
        text = ""
        async for event in events:
            if isinstance(event, Token):
                text += event.text
            if isinstance(event, End):
                return JSONResponse(shape.completion(text, event))
        return _problem(503, "the answer had no end")

    return Starlette(routes=[Route("/v1/completions", completions, methods=["POST"])])


async def _stream(first: Event, rest: AsyncGenerator[Event, None]) -> AsyncGenerator[bytes, None]:
    for event in (first,):
        if (chunk := shape.chunk(event)) is not None:
            yield _line(chunk)
    async for event in rest:
        if (chunk := shape.chunk(event)) is not None:
            yield _line(chunk)
    yield b"data: [DONE]\n\n"


def _line(chunk: dict[str, object]) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _problem(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message}}, status_code=status)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.engine.face")
    parser.add_argument("--engine", type=Path, required=True, help="the engine's Unix socket")
    parser.add_argument("--port", type=int, default=8080)
    given = parser.parse_args()
    uvicorn.run(create_app(EngineClient(given.engine)), host="127.0.0.1", port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
