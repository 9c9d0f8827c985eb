"""Appending to the log from the rest of the appliance. A failure means: refuse the work that needed the entry.

``AuditClient`` gathers: whoever appends in the same turn of the event loop shares a frame (``link``), up to a few that
the writer reads while the next are encoded. Frames do not wait for each other's answers. Appending is idempotent by id,
so what a broken connection leaves unanswered (a writer that was restarted) is sent once more before its caller hears.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import httpx

from appliance.audit import wire
from appliance.audit.apart import MAX_SENT, may_be_long
from appliance.audit.entry import encode_entry
from appliance.audit.errors import AuditUnavailableError, EntryRefusedError
from appliance.audit.frames import new_instance
from appliance.audit.link import Link, connect
from appliance.audit.sync_client import SyncAuditClient
from appliance.audit.tiles import encode_entries
from appliance.audit.wire import Position, Proof
from appliance.errors import SovereignError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["AuditClient", "Position", "Proof", "SyncAuditClient"]

MAX_WAITING = 10_000
MAX_LONG_BYTES = 32 << 20
"""Of entries with long texts, sent and not answered."""
_TIMEOUT = httpx.Timeout(wire.ANSWER_SECONDS, connect=wire.CONNECT_SECONDS)
_RECONNECT_SECONDS = 0.5


@dataclass
class _Waiting:
    entry: bytes
    done: asyncio.Future[Position]
    proven: bool


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
        self._gathered: list[_Waiting] = []
        self._count = 0
        self._long_bytes = 0
        self._sending: set[asyncio.Task[None]] = set()
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
        waiting = _Waiting(entry, loop.create_future(), proven)
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
            except (httpx.NetworkError, httpx.RemoteProtocolError):  # as in ``_post``
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
        """Everything that was gathered goes out, in frames of bounded size; without callers that went away already."""
        gathered, self._gathered = [one for one in self._gathered if not one.done.done()], []
        for proven in (False, True):
            self._send_frames([one for one in gathered if one.proven is proven])

    def _send_frames(self, gathered: list[_Waiting]) -> None:
        while gathered:
            size = count = 0
            while count < min(len(gathered), wire.MAX_FRAME_ENTRIES) and size < wire.MAX_FRAME_BYTES:
                size += len(gathered[count].entry)
                count += 1
            batch, gathered = gathered[:count], gathered[count:]
            task = asyncio.create_task(self._send(batch))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

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
        finally:
            for waiting in batch:  # none, unless this task was cancelled
                _fail(waiting, AuditUnavailableError("the audit client was closed"))

    async def _post(self, batch: list[_Waiting]) -> list[Position]:
        entries, proven = [waiting.entry for waiting in batch], batch[0].proven
        payload = encode_entries(entries)
        try:
            try:
                reply = await (await self._linked()).ask(payload, wire.ANSWER_SECONDS, proven=proven)
            except ConnectionError:  # a kept connection may belong to a writer that is gone; a new one tells
                reply = await (await self._linked()).ask(payload, wire.ANSWER_SECONDS, proven=proven)
        except (OSError, TimeoutError) as error:
            raise wire.unreachable(error) from error
        return wire.read_reply(reply, entries, proven=proven)


def _fail(waiting: _Waiting, error: SovereignError) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(error)
