"""What the operator alone asks of the writer over its socket: prune, put back, and give out what is kept apart.

POST /prune        {"end", "actor"} → {"end", "index", "until"}; refused whole where one entry is to be kept
POST /restore?index=N   the bytes of a pruned entry bundle → {"index"}
GET /apart?index=N      the texts that are kept apart of an entry; two auditors agreed, and the log has it, before
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airgap_bundle import strict_json
from airgap_bundle.errors import FormatError
from appliance.audit.errors import BadRequestError, NotYoursError
from appliance.audit.pruning import find_prunable, prune_record, require_own
from appliance.audit.roles import OPERATOR
from appliance.audit.stored import read_stored
from appliance.audit.tiles import TileReader
from appliance.site.peer_protocol import peer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from appliance.audit.apart import Item
    from appliance.audit.log import TileLog
    from appliance.audit.roles import Roles
    from appliance.audit.writer import GroupWriter


def keeping_routes(
    writer: GroupWriter, log: TileLog, roles: Roles, days: int, read: Callable[[Request], Awaitable[bytes]]
) -> list[Route]:
    """The routes; ``days`` is the site's policy, ``read`` gives a request's body."""

    def require_operator(request: Request) -> None:
        sender = peer(request.scope)
        if OPERATOR not in roles.of(sender.uid if sender else None):
            raise NotYoursError("pruning, restoring and what is kept apart are the operator's to ask for")

    async def prune(request: Request) -> Response:
        require_operator(request)
        end, actor = _asked(await read(request))
        await writer.settle()
        stored, old = await run_in_threadpool(
            lambda: find_prunable(log.directory, vkeys=log.vkeys, days=days, limit=end)
        )
        receipt = await writer.submit([prune_record(stored, old, end, days=days, actor=actor)])
        await writer.settle()
        await writer.prune(end, receipt.positions[0])
        return JSONResponse({"end": end, "index": receipt.positions[0], "until": old.until})

    async def restore(request: Request) -> Response:
        require_operator(request)
        index = _index(request)
        bundle = await read(request)
        await writer.settle()
        stored = await run_in_threadpool(read_stored, log.directory, log.vkeys)
        await run_in_threadpool(require_own, stored, index, bundle)
        await writer.put_back(index, bundle)
        return JSONResponse({"index": index})

    async def apart(request: Request) -> Response:
        require_operator(request)
        index, held = _index(request), (await writer.settle()).head.size
        if index >= held:
            raise BadRequestError(f"the log holds {held} entries")
        entry = await run_in_threadpool(TileReader(log.directory, held, pruned=log.pruned).entry, index)
        return JSONResponse({"texts": [_told(*one) for one in await writer.read_apart(entry)]})

    return [
        Route("/prune", prune, methods=["POST"]),
        Route("/restore", restore, methods=["POST"]),
        Route("/apart", apart),
    ]


def _told(item: Item, salt: bytes, text: str) -> dict[str, str]:
    return {"at": item.at, "commitment": str(item.commitment), "salt": base64.b64encode(salt).decode(), "text": text}


def _index(request: Request) -> int:
    text = request.query_params.get("index", "")
    if not (text.isascii() and text.isdecimal() and len(text) < 18):  # noqa: PLR2004 - digits of a position
        raise BadRequestError("index must be the number of an entry or of an entry bundle")
    return int(text)


def _asked(body: bytes) -> tuple[int, str]:
    try:
        asked = strict_json.load_object(body)
    except FormatError as error:
        raise BadRequestError(error.cause, error.hint) from error
    end, actor = asked.get("end"), asked.get("actor")
    if type(end) is not int or not isinstance(actor, str):
        raise BadRequestError("end (a position) and actor (a text) are expected")
    return end, actor
