"""A balancer as a site may have one: TCP, by turns to the API servers that say they are ready, from its own address.

    python -m tests.e2e.cluster_ha.balancer ADDRESS SERVER…

It asks each server for /readyz twice a second. One that does not answer gets no connection more, and those that it has
end, as with any balancer that is worth its place. At the next port it answers as well, so that who does not reach it
there was kept from it. It runs until its stdin ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from dataclasses import dataclass, field

PORT = 6443
EVERY_S = 0.5
PATIENCE_S = 1.5
_ANYBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_ANYBODY.check_hostname, _ANYBODY.verify_mode = False, ssl.CERT_NONE  # it is asked for life, and told nothing
_ASKED = b"GET /readyz HTTP/1.1\r\nHost: balanced\r\nConnection: close\r\n\r\n"


@dataclass
class Balancer:
    """At ``address``, before ``servers``; ``ready`` are those that answered the last time."""

    address: str
    servers: list[str]
    ready: list[str] = field(default_factory=list)
    turn: int = 0
    under_way: dict[str, set[asyncio.StreamWriter]] = field(default_factory=dict)

    async def watch(self, server: str) -> None:
        """Ask one server again and again."""
        while True:
            if await self._is_ready(server):
                self.ready = sorted({*self.ready, server})
            else:
                self.ready = [one for one in self.ready if one != server]
                for writer in self.under_way.pop(server, set()):
                    writer.transport.abort()
            await asyncio.sleep(EVERY_S)

    async def _is_ready(self, server: str) -> bool:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it asks for life, and tells nothing
        try:
            async with asyncio.timeout(PATIENCE_S):
                reader, writer = await asyncio.open_connection(server, PORT, ssl=context, local_addr=(self.address, 0))
                writer.write(_ASKED)
                answer = await reader.readline()
                writer.transport.abort()
        except (OSError, TimeoutError):
            return False
        return b" 200 " in answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: to the next server that takes it."""
        for _ in range(len(self.ready)):
            self.turn += 1
            server = self.ready[self.turn % len(self.ready)] if self.ready else ""
            try:
                async with asyncio.timeout(PATIENCE_S):
                    there, back = await asyncio.open_connection(server, PORT, local_addr=(self.address, 0))
            except (OSError, TimeoutError):
                continue
            ends = {writer, back}
            self.under_way.setdefault(server, set()).update(ends)
            try:
                await asyncio.gather(_carry(reader, back), _carry(there, writer))
            finally:
                self.under_way.get(server, set()).difference_update(ends)
            return
        writer.transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


async def main(address: str, servers: list[str]) -> None:
    """Balance until stdin ends."""
    balancer = Balancer(address, servers)
    api = await asyncio.start_server(balancer.serve, address, PORT)
    other = await asyncio.start_server(lambda _, writer: writer.close(), address, PORT + 1)
    async with api, other, asyncio.TaskGroup() as group:
        watching = [group.create_task(balancer.watch(server)) for server in servers]
        print("balancing", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for task in watching:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
