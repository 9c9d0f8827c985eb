"""Appending to the log from the rest of the appliance. A failure means: refuse the work that needed the entry.

``AuditClient`` coalesces: while two POSTs are under way, concurrent callers gather, and the next POST carries them all,
so that a busy gateway costs the writer few requests, and writer and caller work side by side. Appending is idempotent
by id, so a broken connection (a writer that was restarted) is tried once more before the caller hears of it.
"""

from __future__ import annotations

import asyncio
import socket as sockets
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import httpx

from appliance.audit import wire
from appliance.audit.entry import encode_entry
from appliance.audit.errors import AuditUnavailableError, EntryRefusedError
from appliance.audit.wire import Position, Proof
from appliance.errors import SovereignError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["AuditClient", "Position", "Proof", "SyncAuditClient"]

MAX_WAITING = 10_000
MAX_POSTS = 2
_TIMEOUT = httpx.Timeout(wire.ANSWER_SECONDS, connect=wire.CONNECT_SECONDS)


@dataclass
class _Waiting:
    entry_id: str
    entry: bytes
    done: asyncio.Future[Position]


class AuditClient:
    """Async client for one event loop. Close it with ``aclose`` or use it as a context manager."""

    def __init__(self, socket: Path) -> None:
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        self._http = httpx.AsyncClient(transport=transport, base_url=wire.BASE_URL, timeout=_TIMEOUT)
        self._waiting: deque[_Waiting] = deque()
        self._senders: set[asyncio.Task[None]] = set()

    async def append(self, event: dict[str, Any], *, id: str) -> Position:  # noqa: A002 - the contract's name
        """Log ``event`` under ``id``; returns once it is durable under a signed checkpoint.

        The same id and event give the same position again. Raises ``AuditUnavailableError`` (``LogFullError`` when the
        disk is full) and ``EntryRefusedError`` (too large, malformed, id used for another event): in both cases the
        entry does not count as logged.
        """
        entry = encode_entry(event, id)
        if len(self._waiting) >= MAX_WAITING:
            raise AuditUnavailableError("too many entries wait for the audit writer", "try again in a moment")
        waiting = _Waiting(id, entry, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if len(self._senders) < MAX_POSTS:
            self._senders.add(asyncio.create_task(self._send_all()))
        return await waiting.done

    async def proof(self, index: int) -> Proof:
        """An inclusion proof of entry ``index`` under the latest checkpoint."""
        return wire.read_proof(await self._get(f"/proof?index={index}"))

    async def checkpoint(self) -> str:
        """The latest durable checkpoint, a signed note."""
        response = await self._get("/checkpoint")
        if not response.is_success:
            raise AuditUnavailableError(f"the audit writer answered {response.status_code}")
        return response.text

    async def healthy(self) -> bool:
        """Whether appending works at the moment."""
        try:
            return (await self._get("/healthz")).is_success
        except AuditUnavailableError:
            return False

    async def aclose(self) -> None:
        """Wait for what is under way, then close the connection."""
        while self._senders:
            await asyncio.wait(self._senders)
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _get(self, path: str) -> httpx.Response:
        try:
            return await self._http.get(path)
        except httpx.HTTPError as error:
            raise wire.unreachable(error) from error

    async def _send_all(self) -> None:
        batch: list[_Waiting] = []
        try:
            while self._waiting:
                batch = self._take()
                if batch:
                    await self._send(batch)
        finally:
            task = asyncio.current_task()
            assert task is not None
            self._senders.discard(task)
            left = [] if self._senders else list(self._waiting)
            for waiting in [*batch, *left]:  # none, unless this task was cancelled
                _fail(waiting, AuditUnavailableError("the audit client was closed"))
            if left:
                self._waiting.clear()

    def _take(self) -> list[_Waiting]:
        """The next POST's worth, without the callers that went away before their entry was sent."""
        batch: list[_Waiting] = []
        size = 0
        while self._waiting and len(batch) < wire.MAX_POST_ENTRIES and size < wire.MAX_POST_BYTES:
            waiting = self._waiting.popleft()
            if not waiting.done.done():
                batch.append(waiting)
                size += len(waiting.entry)
        return batch

    async def _send(self, batch: list[_Waiting]) -> None:
        try:
            positions = await self._post(batch)
        except EntryRefusedError as error:
            if len(batch) == 1:
                _fail(batch[0], error)
                return
            for waiting in batch:  # one refused entry must not take its neighbours with it
                await self._send([waiting])
        except SovereignError as error:
            for waiting in batch:
                _fail(waiting, error)
        else:
            for waiting, position in zip(batch, positions, strict=True):
                if not waiting.done.done():
                    waiting.done.set_result(position)

    async def _post(self, batch: list[_Waiting]) -> list[Position]:
        body = wire.post_body([(waiting.entry_id, waiting.entry) for waiting in batch])
        try:
            response = await self._http.post("/append", content=body)
        except (httpx.NetworkError, httpx.RemoteProtocolError):
            response = await self._again(body)
        except httpx.HTTPError as error:
            raise wire.unreachable(error) from error
        return wire.read_positions(response, len(batch))

    async def _again(self, body: bytes) -> httpx.Response:
        """A kept connection may belong to a writer that is gone; a new one tells."""
        try:
            return await self._http.post("/append", content=body)
        except httpx.HTTPError as error:
            raise wire.unreachable(error) from error


class SyncAuditClient:
    """The same for code without an event loop: the installer and the command line. One entry per POST."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket)), base_url=wire.BASE_URL, timeout=_TIMEOUT
        )

    def append(self, event: dict[str, Any], *, id: str) -> Position:  # noqa: A002 - the contract's name
        """As ``AuditClient.append``."""
        body = wire.post_body([(id, encode_entry(event, id))])
        return wire.read_positions(self._ask("POST", "/append", body), 1)[0]

    def checkpoint(self) -> str:
        """The latest durable checkpoint, a signed note."""
        response = self._ask("GET", "/checkpoint")
        if not response.is_success:
            raise AuditUnavailableError(f"the audit writer answered {response.status_code}")
        return response.text

    def shelve(self, cosigned: bytes) -> None:
        """Put a cosigned checkpoint beside the log. Raises as ``append``; whose it is, the caller verified."""
        wire.read_shelved(self._ask("POST", "/witnessed", cosigned))

    def refused(self) -> dict[int, int]:
        """How often each uid was refused an entry that was not its own, since the writer started."""
        return wire.read_refused(self._ask("GET", "/healthz"))

    def _ask(self, method: str, path: str, body: bytes | None = None) -> httpx.Response:
        try:
            try:
                return self._request(method, path, body)
            except (httpx.NetworkError, httpx.RemoteProtocolError):  # as in ``AuditClient``: once more, on a new one
                return self._request(method, path, body)
        except (OSError, httpx.HTTPError) as error:
            raise wire.unreachable(error) from error

    def _request(self, method: str, path: str, body: bytes | None) -> httpx.Response:
        """One attempt. httpcore forgets to close a Unix socket that it could not connect, so see first who listens."""
        with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as probe:
            probe.settimeout(wire.CONNECT_SECONDS)
            probe.connect(str(self._socket))
        return self._http.request(method, path, content=body)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _fail(waiting: _Waiting, error: SovereignError) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(error)
