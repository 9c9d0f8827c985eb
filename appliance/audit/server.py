"""The audit service: HTTP/1.1 on a Unix socket, in front of the one writer.

POST /append      {"entries": [{"id", "event"}]} → {"positions", "size", "root", "checkpoint"}, once durable and signed
GET /checkpoint   the latest durable checkpoint, a signed note
GET /proof?index  an inclusion proof under it
POST /prune, /restore  see ``keeping``
POST /witnessed   a cosigned checkpoint, to lie beside the log; the operator's alone
GET /healthz      200 while appending works; 503 with the cause otherwise (asking is also an attempt to recover)

A connection that opens with the preface of ``frames`` appends without HTTP, by the same rules.

Whoever may open the socket may read. Appending is bound to the uid that the kernel names (``roles``): a POST with one
entry that is not its sender's to write is refused whole, before the log is asked about any of its ids.

Errors are {"error": {"code", "message", "hint"}}: 400 malformed, 403 not yours, 409 id reused, 413 too large, 422 not
an event, 507 disk full, 503 anything else that keeps an entry from being durable. There is no 200 without durability.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from appliance.audit import replies
from appliance.audit.apart import may_be_long
from appliance.audit.append_body import admitted, whole_body
from appliance.audit.closing import Closer
from appliance.audit.errors import AuditUnavailableError, BadRequestError, NotYoursError
from appliance.audit.frame_server import Desk, protocol_of
from appliance.audit.keeping import keeping_routes
from appliance.audit.listening import listen
from appliance.audit.log import TileLog
from appliance.audit.proofs import inclusion_proof
from appliance.audit.reading import reading_routes
from appliance.audit.retention import LEAST_DAYS
from appliance.audit.roles import OPERATOR
from appliance.audit.sessions import GRACE_SECONDS, Sessions
from appliance.audit.shelf import shelve
from appliance.audit.tiles import TileReader
from appliance.audit.usage_process import UsageProcess
from appliance.audit.writer import GroupWriter
from appliance.errors import SovereignError
from appliance.site.peer_protocol import peer
from appliance.site.peers import RefusedPeers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.requests import Request

    from appliance.audit.keys import CheckpointKeys
    from appliance.audit.lease import Lease
    from appliance.audit.roles import Roles


_SWITCH_SECONDS = 0.0001
"""A commit's thread that comes back from the disk must not wait for the one that reads what comes next."""


def create_app(  # noqa: C901, PLR0915 - one small function a route
    log: TileLog, roles: Roles, *, grace: float = GRACE_SECONDS, retention_days: int = LEAST_DAYS
) -> Starlette:
    """The service as an ASGI app around ``log``, which it closes when it shuts down.

    Serve it with ``PeerProtocol``: a request whose scope has no peer appends nothing. At start a log that is
    inconsistent stops the service; one whose disk is full does not: it answers 507 and recovers. Requests of a
    gateway that has been gone for ``grace`` seconds are ended as interrupted. Entries are kept for ``retention_days``.
    """
    writer = GroupWriter(log)
    refused = RefusedPeers()
    sessions = Sessions(grace)
    counting = UsageProcess(log.directory, log.vkeys)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            with contextlib.suppress(AuditUnavailableError):
                await writer.open()
            closing = asyncio.create_task(Closer(writer, sessions).run())
            yield
            closing.cancel()
        finally:
            counting.close()
            await writer.close()

    async def append(request: Request) -> Response:
        sender = peer(request.scope)
        uid = sender.uid if sender else None
        try:
            roles.of(uid)  # before a byte of the body is read
            sent = admitted(await whole_body(request), uid, roles)
        except NotYoursError as error:
            if sender:
                refused.note(sender, "append_refused", cause=error.cause)
            raise
        records = [record for record, _ in sent]
        if any(may_be_long(entry) for _, entry in records):
            records = await writer.keep([(entry_id, event) for (entry_id, _), event in sent], uid)
        return JSONResponse(replies.appended(await writer.submit(records)))

    async def witnessed(request: Request) -> Response:
        sender = peer(request.scope)
        if OPERATOR not in roles.of(sender.uid if sender else None):
            raise NotYoursError("cosigned checkpoints are the operator's to bring")
        await writer.settle()
        names = await run_in_threadpool(shelve, log.directory, await whole_body(request), log.vkeys)
        return JSONResponse({"witnesses": names})

    async def checkpoint(_: Request) -> Response:
        return PlainTextResponse((await writer.settle()).note)

    async def proof(request: Request) -> Response:
        signed = writer.signed or await writer.open()
        if writer.settled != signed:
            signed = await writer.settle()
        text = request.query_params.get("index", "")
        if not (text.isascii() and text.isdecimal() and int(text[:20]) < signed.head.size and len(text) < 20):  # noqa: PLR2004 - 2**63 has 19 digits
            raise BadRequestError(f"index must be a number below the log's size {signed.head.size}")
        tiles = TileReader(log.directory, signed.head.size)
        index = int(text)
        hashes = await run_in_threadpool(inclusion_proof, tiles, index)
        leaf = await run_in_threadpool(tiles.node, 0, index)
        return JSONResponse(
            {
                "index": index,
                "size": signed.head.size,
                "leaf_hash": base64.b64encode(leaf).decode(),
                "hashes": [base64.b64encode(one).decode() for one in hashes],
                "checkpoint": signed.note,
            }
        )

    async def healthz(_: Request) -> Response:
        writer.require()
        signed = await writer.open() if writer.failure or not writer.signed else writer.signed
        counts = {str(uid): count for uid, count in sorted(refused.counts.items())}
        open_requests = await writer.count_open()
        figures = {"not_yours": counts, "instances": sessions.count, "open_requests": open_requests}
        return JSONResponse({"status": "ok", "size": signed.head.size, "clock_behind": writer.clock_behind, **figures})

    app = Starlette(
        routes=[
            Route("/append", append, methods=["POST"]),
            Route("/witnessed", witnessed, methods=["POST"]),
            Route("/checkpoint", checkpoint),
            Route("/proof", proof),
            Route("/healthz", healthz),
            *keeping_routes(writer, log, roles, retention_days, whole_body),
            *reading_routes(writer, log, roles, counting),
        ],
        exception_handlers={SovereignError: _explain},
        lifespan=lifespan,
    )
    app.state.desk = Desk(writer, roles, refused, sessions)
    return app


async def _explain(_: Request, error: Exception) -> Response:
    assert isinstance(error, SovereignError)
    status, body = replies.refused(error)
    return JSONResponse(body, status_code=status, headers={"Retry-After": "1"} if status >= 500 else None)  # noqa: PLR2004 - HTTP


def serve(  # noqa: PLR0913 - a log, where it listens, and who may write
    *,
    directory: Path,
    socket: Path,
    origin: str,
    keys: CheckpointKeys,
    roles: Roles,
    grace: float = GRACE_SECONDS,
    retention_days: int = LEAST_DAYS,
    lease: Lease | None = None,
) -> None:
    """Run the audit writer until SIGTERM. Blocking, and for a process's main thread.

    With a ``lease`` it waits until it holds that, signs only while it does, and lets go of it at the end.

    Raises ``WriterLockedError`` when the log has a writer already, ``LogInconsistentError`` when the log in
    ``directory`` is not what was signed. The socket is made with mode 0660 before anyone can connect to it.
    """
    os.umask(0o027)
    sys.setswitchinterval(_SWITCH_SECONDS)
    log = TileLog(directory, origin, keys, fence=lease.require if lease else lambda: None)
    if lease:
        lease.acquire()
    try:
        _serve(log, socket, roles, grace, retention_days)
    finally:
        if lease:
            lease.release()


def _serve(log: TileLog, socket: Path, roles: Roles, grace: float, retention_days: int) -> None:
    # uvicorn drains on SIGTERM and then raises it once more; by then there is nothing left to end but this function.
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        log.open()
    except AuditUnavailableError:
        pass  # answers 507 or 503 and recovers by itself
    except SovereignError:
        log.close()
        raise
    listener = listen(socket)
    try:
        uvicorn.Server(server_config(create_app(log, roles, grace=grace, retention_days=retention_days))).run(
            sockets=[listener]
        )
    finally:
        listener.close()
        socket.unlink(missing_ok=True)


def server_config(app: Starlette) -> uvicorn.Config:
    """How ``app`` is served: with the peer of each connection in the scope of its requests, and frames beside HTTP."""
    return uvicorn.Config(
        app,
        http=protocol_of(app.state),
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
    )
