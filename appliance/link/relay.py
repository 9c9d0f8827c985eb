"""The link as a process: for every connection at one end of a way, one at the other, and bytes between them.

A connection that ends on one side ends on the other once what was read is written: neither HTTP, nor the frames of the
audit log, nor PostgreSQL half-closes. Callers are known after TLS and before anything is opened for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from appliance.errors import DeploymentError
from appliance.link.tls import caller, contexts
from appliance.link.ways import server_name

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from appliance.link.ways import Way

MOST_CONNECTIONS = 2048
CONNECT_SECONDS = 5.0
HANDSHAKE_SECONDS = 30.0
"""More than for the connection, which a kernel makes by itself: on a busy host a process may wait for its turn."""
SOCKET_MODE = 0o660
_PIECE = 1 << 16
_log = structlog.get_logger("link")


class Relay:
    """One way's listener; ``refused`` counts connections that were turned away."""

    def __init__(self, way: Way, tls: tuple[ssl.SSLContext, ssl.SSLContext] | None) -> None:
        self._way = way
        self._listening = tls[0] if tls else None
        self._calling = tls[1] if tls else None
        self._running: set[asyncio.Task[None]] = set()
        self.refused = 0

    async def listen(self) -> asyncio.Server:
        """Begin to accept. Raises ``DeploymentError`` for an end that cannot be listened at."""
        kind, _, where = self._way.at.partition(":")
        try:
            if kind == "unix":
                return await asyncio.start_unix_server(self._accept, sock=_unix_listener(Path(where)))
            host, _, port = where.rpartition(":")
            tls = {"ssl": self._listening, "ssl_handshake_timeout": HANDSHAKE_SECONDS} if kind == "tls" else {}
            return await asyncio.start_server(self._accept, host, int(port), **tls)  # type: ignore[arg-type]
        except OSError as error:
            raise DeploymentError(f"a link cannot listen at {self._way.at}: {error.strerror}") from error

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            with contextlib.suppress(asyncio.CancelledError):  # by ``end``; asyncio's streams would call it an error
                await self._carry(reader, writer)
        finally:
            await _close(writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._running) > MOST_CONNECTIONS:
            self._turn_away("too many connections")
            return
        if self._way.callers and caller(writer.get_extra_info("peercert"), self._way.callers) is None:
            self._turn_away("the certificate is of none who may call")
            return
        try:
            far_reader, far_writer = await self._open()
        except (OSError, TimeoutError) as error:
            self._turn_away(str(error) or "it does not answer")
            return
        try:
            await _exchange((reader, far_writer), (far_reader, writer))
        finally:
            await _close(far_writer)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        kind, _, where = self._way.to.partition(":")
        async with asyncio.timeout(CONNECT_SECONDS):
            if kind == "unix":
                return await asyncio.open_unix_connection(where)
            host, _, port = where.rpartition(":")
            if kind == "tcp":
                return await asyncio.open_connection(host, int(port))
            connected = await _connected(host, int(port))
        assert self._way.answers is not None
        return await asyncio.open_connection(
            sock=connected,
            ssl=self._calling,
            server_hostname=server_name(self._way.answers),
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
        )

    def _turn_away(self, cause: str) -> None:
        """Count, and say so at the 1st, 2nd, 4th, 8th … time: whoever is refused chooses how often."""
        self.refused += 1
        if self.refused & (self.refused - 1) == 0:
            _log.warning("refused", at=self._way.at, to=self._way.to, count=self.refused, cause=cause)

    async def end(self) -> None:
        """End what is under way."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


def serve(ways: Sequence[Way], credentials: Path) -> None:
    """Carry ``ways`` until SIGTERM or SIGINT. Blocks.

    Raises ``DeploymentError``: an end is taken, or a certificate is missing where a way has TLS.
    """
    asyncio.run(_serve(ways, credentials))


async def _serve(ways: Sequence[Way], credentials: Path) -> None:
    secured = any(end.startswith("tls:") for way in ways for end in (way.at, way.to))
    tls = contexts(credentials) if secured else None
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    relays = [Relay(way, tls) for way in ways]
    async with contextlib.AsyncExitStack() as stack:
        for relay in relays:
            await stack.enter_async_context(await relay.listen())
            stack.push_async_callback(relay.end)
        _log.info("carrying", ways=[f"{way.at} → {way.to}" for way in ways])
        await stopping.wait()


async def _connected(host: str, port: int) -> socket.socket:
    """A connection before TLS, to the first address of ``host``: a service has one. Raises ``OSError``."""
    loop = asyncio.get_running_loop()
    family, kind, protocol, _, address = (await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0]
    connecting = socket.socket(family, kind, protocol)
    try:
        connecting.settimeout(0)  # asyncio waits for it
        await loop.sock_connect(connecting, address)
    except BaseException:  # its deadline and its end among them
        connecting.close()
        raise
    return connecting


def _unix_listener(path: Path) -> socket.socket:
    """A Unix socket that its group may open, from its first moment. A dead link's is replaced."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~SOCKET_MODE)
    try:
        listener.bind(str(path))
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener


async def _exchange(*directions: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Pass bytes on both ways until one side ends."""
    pumps = [asyncio.create_task(_pump(reader, writer)) for reader, writer in directions]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close once what was written is out; an end that is gone already is no failure."""
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(CONNECT_SECONDS):
            await writer.wait_closed()
