"""Appending to the log from the rest of the appliance. A failure means: refuse the work that needed the entry.

``AuditClient`` gathers: whoever appends in the same turn of the event loop shares a frame (``link``), up to a few that
the writer reads while the next are encoded. Frames do not wait for each other's answers. Appending is idempotent by id,
so what a broken connection leaves unanswered (a writer that was restarted) is sent once more before its caller hears.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Self

import httpx

from appliance.audit import wire
from appliance.audit.apart import MAX_SENT, may_be_long
from appliance.audit.entry import encode_entry
from appliance.audit.errors import AuditUnavailableError
from appliance.audit.frames import new_instance
from appliance.audit.link import Link, connect
from appliance.audit.sending import Batch, Waiting, batches
from appliance.audit.sync_client import SyncAuditClient
from appliance.audit.wire import Position, Proof

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["AuditClient", "Position", "Proof", "SyncAuditClient"]

MAX_WAITING = 10_000
MAX_LONG_BYTES = 32 << 20
"""Of entries with long texts, sent and not answered."""
_TIMEOUT = httpx.Timeout(wire.ANSWER_SECONDS, connect=wire.CONNECT_SECONDS)
_RECONNECT_SECONDS = 0.5


class AuditClient:
    """Async client for one event loop. Close it with ``aclose`` or use it as a context manager.

    As a context manager it keeps a connection to the writer all the time, which tells the writer that ``instance`` is
    alive: requests logged under that name stay open for it to end (``open_requests``).
    """

    def __init__(self, socket: Path) -> None:
        self.instance = new_instance()
        self._socket = socket
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        self._http = httpx.AsyncClient(transport=transport, base_url=wire.BASE_URL, timeout=_TIMEOUT)
        self._gathered: list[Waiting] = []
        self._count = 0
        self._long_bytes = 0
        self._sending: set[asyncio.Future[None]] = set()
        self._link: Link | None = None
        self._connecting: asyncio.Lock = asyncio.Lock()
        self._staying: asyncio.Task[None] | None = None

    async def append(self, event: dict[str, Any], *, id: str, proven: bool = False) -> Position:  # noqa: A002 - the contract's name
        """Log ``event`` under ``id``; returns once it is durable under a signed checkpoint, ``proven``: with its proof.

        The same id and event give the same position again. Raises ``AuditUnavailableError`` (``LogFullError`` when the
        disk is full) and ``EntryRefusedError`` (too large, malformed, id used for another event): in both cases the
        entry does not count as logged. Texts that are too long for an entry are kept apart by the writer; such an entry
        comes without its proof.
        """
        entry = encode_entry(event, id, MAX_SENT)
        if may_be_long(entry):
            return await self._append_long(id, entry)
        if self._count >= MAX_WAITING:
            raise AuditUnavailableError("too many entries wait for the audit writer", "try again in a moment")
        loop = asyncio.get_running_loop()
        waiting = Waiting(entry, loop.create_future(), proven)
        if not self._gathered:
            loop.call_soon(self._send_gathered)
        self._gathered.append(waiting)
        self._count += 1
        if len(self._gathered) >= wire.ENOUGH_ENTRIES:
            self._send_gathered()
        try:
            return await waiting.done
        finally:
            self._count -= 1

    async def _append_long(self, entry_id: str, entry: bytes) -> Position:
        """By POST: no frame holds it, and its sender cannot spell it as it is logged."""
        body = wire.post_body([(entry_id, entry)])
        if self._long_bytes and self._long_bytes + len(body) > MAX_LONG_BYTES:
            raise AuditUnavailableError("too much waits for the audit writer", "try again in a moment")
        self._long_bytes += len(body)
        try:
            try:
                response = await self._http.post("/append", content=body)
            except (httpx.NetworkError, httpx.RemoteProtocolError):  # as in ``_send_anew``
                response = await self._http.post("/append", content=body)
        except httpx.HTTPError as error:
            raise wire.unreachable(error) from error
        finally:
            self._long_bytes -= len(body)
        return wire.read_positions(response, 1)[0]

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
        if self._staying is not None:
            self._staying.cancel()
        self._send_gathered()
        while self._sending:
            await asyncio.wait(self._sending)
        if self._link is not None:
            self._link.close()
            await self._link.closed.wait()
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        self._staying = asyncio.create_task(self._stay())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _get(self, path: str) -> httpx.Response:
        try:
            return await self._http.get(path)
        except httpx.HTTPError as error:
            raise wire.unreachable(error) from error

    async def _stay(self) -> None:
        """Keep a connection, for ever."""
        while True:
            with contextlib.suppress(OSError, TimeoutError):
                await (await self._linked()).closed.wait()
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _linked(self) -> Link:
        """The connection, made anew where there is none. Raises ``OSError``, ``TimeoutError``."""
        async with self._connecting:
            if self._link is None or self._link.closed.is_set():
                self._link = await connect(self._socket, self.instance, wire.CONNECT_SECONDS)
            return self._link

    def _send_gathered(self) -> None:
        """Everything that was gathered goes out."""
        gathered, self._gathered = self._gathered, []
        for batch in batches(gathered):
            self._send(batch)

    def _send(self, batch: Batch) -> None:
        """Over the connection where it is there: then nothing but the answer is waited for."""
        link = self._link
        if link is None or link.closed.is_set():
            self._under_way(asyncio.create_task(self._send_anew(batch, attempts=2)))
            return
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._under_way(answered)

        def heard(reply: bytes | OSError) -> None:
            answered.set_result(None)
            if isinstance(reply, ConnectionError):  # a kept connection may belong to a writer that is gone
                self._under_way(asyncio.create_task(self._send_anew(batch, attempts=1)))
            else:
                self._heard(batch, reply)

        link.put(batch.payload(), wire.ANSWER_SECONDS, heard, proven=batch.proven)

    async def _send_anew(self, batch: Batch, attempts: int) -> None:
        """Over a connection that may have to be made first, and made again where it breaks."""
        reply: bytes | Exception = AuditUnavailableError("the audit client was closed")  # if this task is cancelled
        try:
            for _ in range(attempts):
                reply = await self._asked(batch)
                if not isinstance(reply, ConnectionError):
                    break
        finally:
            self._heard(batch, reply)

    async def _asked(self, batch: Batch) -> bytes | Exception:
        try:
            return await (await self._linked()).ask(batch.payload(), wire.ANSWER_SECONDS, proven=batch.proven)
        except (OSError, TimeoutError) as error:
            return error

    def _heard(self, batch: Batch, reply: bytes | Exception) -> None:
        for one in batch.hear(reply):
            self._send(one)

    def _under_way(self, sending: asyncio.Future[None]) -> None:
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)
