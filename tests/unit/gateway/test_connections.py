from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from appliance.gateway.body import read_bytes
from appliance.gateway.connections import BoundedHeadProtocol
from appliance.gateway.errors import HttpError
from appliance.gateway.headers import SecurityHeaders
from appliance.gateway.problems import on_http_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.requests import Request

pytestmark = pytest.mark.anyio
OK = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


class HastyProtocol(BoundedHeadProtocol):
    head_seconds = 0.1
    write_seconds = 0.1


async def take_body(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await read_bytes(request, 1000, seconds=0.1))))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[uvicorn.Server]:
    app = Starlette(
        routes=[
            Route("/", lambda _: PlainTextResponse("ok")),
            Route("/body", take_body, methods=["POST"]),
            Route("/big", lambda _: PlainTextResponse("x" * 50_000_000)),
        ],
        exception_handlers={HttpError: on_http_error},
    )
    path = str(tmp_path / "sock")
    config = uvicorn.Config(
        app, uds=path, http=HastyProtocol, lifespan="off", log_config=None, access_log=False, timeout_keep_alive=60
    )
    server = uvicorn.Server(config)
    config.load()
    serving = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
        await asyncio.sleep(0.01)
    yield server
    server.should_exit = True
    await serving


@pytest.fixture
async def address(server: uvicorn.Server) -> str:
    assert server.config.uds is not None
    return server.config.uds


async def talk(path: str, *pieces: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_connection_that_says_nothing_is_closed(address: str) -> None:
    assert await talk(address) == b""


async def test_a_head_that_never_ends_is_cut_off(address: str) -> None:
    assert await talk(address, b"GET / HTTP/1.1\r\nHost: t", b"est\r\nX: ") == b""


async def test_the_next_head_on_a_kept_connection_has_the_same_clock(address: str) -> None:
    reader, writer = await asyncio.open_unix_connection(address)
    writer.write(OK)
    assert b"200 OK" in await reader.readuntil(b"ok")
    writer.write(b"GET /ag")
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_a_body_that_never_ends_is_answered_and_cut_off(address: str) -> None:
    answer = await talk(address, b"POST /body HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nabc")
    assert b"400 Bad Request" in answer
    assert b"body_timeout" in answer


async def test_a_body_over_the_cap_is_refused_while_it_streams_in(address: str) -> None:
    head = b"POST /body HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"1f4\r\n" + b"x" * 500 + b"\r\n"
    answer = await talk(address, head, chunk, chunk, chunk)
    assert b"413 " in answer
    assert b"connection: close" in answer.lower()


async def test_a_declared_length_over_the_cap_is_refused_before_a_byte_is_read(address: str) -> None:
    answer = await talk(address, b"POST /body HTTP/1.1\r\nHost: test\r\nContent-Length: 999999999999\r\n\r\n")
    assert b"413 " in answer


async def test_a_body_that_nobody_reads_cannot_hold_the_connection(server: uvicorn.Server, address: str) -> None:
    reader, writer = await asyncio.open_unix_connection(address)
    writer.write(b"GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n")
    assert b"200 OK" in await reader.readuntil(b"ok")
    while server.server_state.connections:
        writer.write(b"x")
        await asyncio.sleep(0.01)
    writer.transport.abort()


async def test_who_reads_nothing_is_cut_off(server: uvicorn.Server, address: str) -> None:
    _, writer = await asyncio.open_unix_connection(address)
    writer.write(b"GET /big HTTP/1.1\r\nHost: test\r\n\r\n")
    while not server.server_state.connections:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
        await asyncio.sleep(0.01)
    while server.server_state.connections:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
        await asyncio.sleep(0.01)
    writer.transport.abort()


async def test_a_foreign_host_header_gets_nothing() -> None:
    sent: list[dict[str, Any]] = []

    async def app(*_: Any) -> None:
        raise AssertionError("must not be reached")

    async def send(message: Any) -> None:
        sent.append(message)

    guard = SecurityHeaders(app, headers={"X-Test": "1"}, hosts=["site:8443"])
    scope = {"type": "http", "path": "/", "headers": [(b"host", b"evil.test:8443")]}
    await guard(scope, lambda: None, send)  # type: ignore[arg-type, return-value]  # receive is not used
    assert sent[0]["status"] == 400
    assert (b"x-test", b"1") in sent[0]["headers"]
