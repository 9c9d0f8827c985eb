"""The collector's process: a host connects by mutual TLS, says its items, and hears one line once they are durable.

    {"schema": 1, "items": 3} and three lines  →  {"taken": 3}  or  {"error": "why"}

Which hosts may speak is read at each connection, so that one that left the site is turned away from then on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import signal
import time
from typing import TYPE_CHECKING

import structlog

from appliance.audit.client import AuditClient
from appliance.audit.errors import EntryRefusedError, IdReusedError
from appliance.collector.entries import CONTROL_PLANE, entry
from appliance.collector.told import MAX_BYTES, MAX_ITEM_BYTES, SUFFIX, load_hosts, read_head
from appliance.errors import DeploymentError, SovereignError, UsageError
from appliance.link.tls import caller, contexts

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.collector.entries import Named

HANDSHAKE_SECONDS = 30.0
LINE_SECONDS = 30.0
HOSTS_AT_ONCE = 4
WORKER_ITEMS, WORKER_ITEMS_A_MINUTE = 1000.0, 30.0
"""Some times what a worker tells: whoever took one over would need months to fill 8 GiB, which would end answers."""
_log = structlog.get_logger("collector")


class Collector:
    """Takes lines of hosts that ``hosts`` names, and appends to ``audit``."""

    def __init__(self, audit: AuditClient, hosts: Path) -> None:
        self._audit = audit
        self._hosts = hosts
        self._speaking: set[str] = set()
        self._turn = asyncio.Semaphore(HOSTS_AT_ONCE)  # entries are some times as large as what was said
        self._said: dict[str, int] = {}
        self._allowed: dict[str, tuple[float, float]] = {}

    async def speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its certificate to its answer."""
        try:
            with contextlib.suppress(OSError, TimeoutError):
                writer.write(json.dumps(await self._answer(reader, writer)).encode() + b"\n")
                async with asyncio.timeout(LINE_SECONDS):
                    await writer.drain()
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, object]:
        try:
            hosts = load_hosts(self._hosts)
            link = caller(writer.get_extra_info("peercert"), hosts)
            if link is None:
                return self._turn_away("the certificate is of no host of the site")
            if link in self._speaking:
                return self._turn_away("the host speaks already")
            self._speaking.add(link)
            try:
                return {"taken": await self._take(reader, link.removesuffix(SUFFIX), hosts[link])}
            finally:
                self._speaking.discard(link)
        except SovereignError as error:
            return self._turn_away(error.cause)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return self._turn_away("the host said no whole line, or too long a one")

    async def _take(self, reader: asyncio.StreamReader, host: str, role: str) -> int:
        """Have the items that follow durable; how many. Raises ``SovereignError`` and what reading a line raises."""
        async with asyncio.timeout(LINE_SECONDS):
            items, size = [], 0
            count = read_head(await reader.readuntil())
            left = self._left(host, role)
            if count > left:
                raise UsageError(f"{host} says more than a worker observes", "look at what runs on that host")
            for _ in range(count):
                items.append(await reader.readuntil())
                size += len(items[-1])
                if size > MAX_BYTES:
                    raise UsageError("a host says more than is read at once", "install the release again")
        self._allowed[host] = (left - count, time.monotonic())
        async with self._turn:
            await asyncio.gather(*(self._append(entry(item, host, role)) for item in items))
        return count

    def _left(self, host: str, role: str) -> float:
        """How many items are taken from ``host`` now. Of the control plane all: whatever people do is told."""
        if role == CONTROL_PLANE:
            return math.inf
        left, since = self._allowed.get(host, (WORKER_ITEMS, 0.0))
        return min(WORKER_ITEMS, left + (time.monotonic() - since) * WORKER_ITEMS_A_MINUTE / 60)

    async def _append(self, named: Named) -> None:
        """Have an entry durable. Raises ``SovereignError`` when it is to be tried again."""
        entry_id, event = named
        try:
            await self._audit.append(event, id=entry_id)
        except IdReusedError:
            # Another release told it otherwise; or a host tells two things of one place, of which the first counts.
            self._warn("told otherwise before", id=entry_id)
        except EntryRefusedError as error:
            raise DeploymentError(f"the log refuses what a host observed: {error.cause}") from error

    def _turn_away(self, cause: str) -> dict[str, object]:
        self._warn("refused", cause=cause)
        return {"error": cause}

    def _warn(self, what: str, **more: str) -> None:
        """Say something that hosts can cause as often as they like: at the 1st, 2nd, 4th, 8th … time."""
        self._said[what] = count = self._said.get(what, 0) + 1
        if count & (count - 1) == 0:
            _log.warning(what, count=count, **more)


def serve(*, socket: Path, port: int, hosts: Path, credentials: Path) -> None:
    """Collect until SIGTERM or SIGINT. Blocks. ``socket`` is the writer's; see the module for the rest.

    Raises ``DeploymentError``: the port is taken, or a certificate is missing.
    """
    asyncio.run(_serve(socket, port, hosts, credentials))


async def _serve(socket: Path, port: int, hosts: Path, credentials: Path) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with AuditClient(socket) as audit:
        server = await listen(Collector(audit, hosts), "0.0.0.0", port, credentials)  # noqa: S104 - of the pod
        async with server:
            _log.info("collecting", port=port)
            await stopping.wait()


async def listen(collector: Collector, host: str, port: int, credentials: Path) -> asyncio.Server:
    """Begin to accept. Raises ``DeploymentError``."""
    tls, _ = contexts(credentials)
    try:
        return await asyncio.start_server(
            collector.speak, host, port, ssl=tls, ssl_handshake_timeout=HANDSHAKE_SECONDS, limit=MAX_ITEM_BYTES
        )
    except OSError as error:
        raise DeploymentError(f"the collector cannot listen at port {port}: {error.strerror}") from error
