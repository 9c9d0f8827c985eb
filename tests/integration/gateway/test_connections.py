"""The gateway's TCP connections, which unit tests have none of."""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvicorn
from starlette.applications import Starlette

from appliance.gateway.connections import BoundedHeadProtocol

pytestmark = pytest.mark.anyio


async def test_what_is_written_leaves_at_once_also_from_a_socket_that_names_no_protocol() -> None:
    """Else a token waits for the acknowledgement of the last, which its reader puts off for 40 ms."""
    met: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()

    class Met(BoundedHeadProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            met.set_result(transport)

    config = uvicorn.Config(Starlette(), http=Met, lifespan="off", log_config=None)
    config.load()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert listener.proto == 0
        serving = await asyncio.get_running_loop().create_server(
            lambda: Met(config=config, server_state=uvicorn.server.ServerState(), app_state={}), sock=listener
        )
        _, writer = await asyncio.open_connection(*listener.getsockname())
        line = (await asyncio.wait_for(met, 5)).get_extra_info("socket")
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        writer.close()
        serving.close()
