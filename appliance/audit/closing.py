"""Requests whose gateway is gone are ended here, as ``interrupted``, so that every request in the log has an end.

Each is ended under the id that the gateway would have used, so one that was only thought to be gone cannot end it a
second time: its entry is refused, and its caller gets no receipt. Done again after a crash, it lands on what is there.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from appliance.audit import ocsf
from appliance.audit.entry import decode_entry, encode_entry
from appliance.audit.errors import IdReusedError
from appliance.audit.ocsf import Event, compact, envelope
from appliance.audit.open_requests import end_id, instance
from appliance.audit.roles import kind_of
from appliance.errors import SovereignError

if TYPE_CHECKING:
    from datetime import datetime

    from appliance.audit.sessions import Sessions
    from appliance.audit.writer import GroupWriter

OUTCOME = "interrupted"
_KEPT: tuple[str, ...] = ("actor", "api", "src_endpoint", "ai_model")
_PER_GRACE = 5
_LEAST_SECONDS = 0.05
_HELD_UP_SECONDS, _HEARD_SECONDS = 1.0, 1.0
"""A disk that stalls under a lone entry holds up whoever reads connections: by so much, and so long they are heard."""
_log = structlog.get_logger(__name__)


def interrupted(request: Event, index: int, *, at: datetime | None = None) -> Event | None:
    """How the request at ``index`` ended, when nobody is left who knows; None when that entry is no request.

    Who asked for what is the request's; what it had cost by then, and what was answered, is not known.
    """
    if kind_of(request) != "request":
        return None
    begun = request["unmapped"]["sovereign"]
    ours = {
        "kind": "answer",
        "outcome": OUTCOME,
        "ended_by": "writer",
        "energy_method": "unknown",
        "request_index": index,
        "purpose": begun.get("purpose"),
    }
    fields = {name: request[name] for name in _KEPT if name in request}
    return envelope(
        ocsf.API_ACTIVITY,
        99,
        ours=compact(ours),
        at=at,
        profiles=("ai_operation",),
        correlation=request["metadata"].get("correlation_uid"),
        fields=fields,
    )


class Closer:
    """Ends what is open and nobody's, through the writer like everybody else."""

    def __init__(self, writer: GroupWriter, sessions: Sessions) -> None:
        self._writer = writer
        self._sessions = sessions

    async def run(self) -> None:
        """Look again and again, until cancelled. A log that cannot be written is tried again.

        Where nothing was read for a while, gateways that came back meanwhile are heard first: they are not gone.
        """
        pause, loop = max(_LEAST_SECONDS, self._sessions.grace / _PER_GRACE), asyncio.get_running_loop()
        while True:
            due = loop.time() + pause
            await asyncio.sleep(pause)
            if loop.time() - due > _HELD_UP_SECONDS:
                await asyncio.sleep(_HEARD_SECONDS)
            try:
                await self.close()
            except SovereignError as error:
                _log.warning("open requests not ended", cause=error.cause)

    async def close(self) -> int:
        """End every request of an instance that is gone; how many. Raises what the writer raises."""
        found = await self._writer.open_requests(lambda request: self._sessions.gone(instance(request)))
        ended = await asyncio.gather(*(self._end(request, index, entry) for request, index, entry in found))
        if any(ended):
            _log.warning("requests ended as interrupted", count=sum(ended))
        return sum(ended)

    async def _end(self, request: str, index: int, entry: bytes) -> bool:
        event = interrupted(decode_entry(entry)[1], index)
        if event is not None:
            entry_id = end_id(request)
            try:
                await self._writer.submit([(entry_id, encode_entry(event, entry_id))])
            except IdReusedError:  # its gateway was quicker
                event = None
        await self._writer.forget_request(request)
        return event is not None
