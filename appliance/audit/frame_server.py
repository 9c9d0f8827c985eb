"""The writer's end of a connection: HTTP as uvicorn speaks it, or frames once the first bytes say so.

What may be appended is decided as for POST /append. A frame is all or nothing. A connection that breaks the protocol is
told why and cut; one whose answers are not read is read no further.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.audit import replies
from appliance.audit.append_body import MAX_ENTRIES
from appliance.audit.canonical import read_entry
from appliance.audit.errors import AuditUnavailableError, BadRequestError, NotYoursError
from appliance.audit.frames import PREFACE_BYTES, PROVEN, FrameReader, frame, read_preface, speaks_frames
from appliance.audit.tiles import decode_entries
from appliance.errors import SovereignError
from appliance.site.peer_protocol import PEER, PeerProtocol
from appliance.site.peers import Peer

if TYPE_CHECKING:
    from starlette.datastructures import State

    from appliance.audit.commit import Record
    from appliance.audit.committing import Receipt
    from appliance.audit.roles import Roles
    from appliance.audit.sessions import Sessions
    from appliance.audit.writer import GroupWriter
    from appliance.site.peers import RefusedPeers

NO_NUMBER = 0
"""The number of an answer to what was no frame."""


@dataclass(frozen=True)
class Desk:
    """Where entries are handed in: the writer, who may write what, and who is there."""

    writer: GroupWriter
    roles: Roles
    refused: RefusedPeers
    sessions: Sessions


def protocol_of(state: State) -> type[PeerProtocol]:
    """The protocol of a service whose app has a ``Desk`` in its state; without one, HTTP alone."""
    desk = getattr(state, "desk", None)
    return PeerProtocol if desk is None else type("DeskProtocol", (_EitherProtocol,), {"desk": desk})


class _EitherProtocol(PeerProtocol):
    """Looks at a connection's first bytes, then leaves it to HTTP or to frames for good."""

    desk: Desk
    _beginning = b""
    _http = False

    def data_received(self, data: bytes) -> None:
        """Bytes of either."""
        if self._http:
            super().data_received(data)
            return
        self._beginning += data
        if not speaks_frames(self._beginning[:PREFACE_BYTES]):
            self._http = True
            super().data_received(self._beginning)
        elif len(self._beginning) >= PREFACE_BYTES:
            self._become_frames()

    def _become_frames(self) -> None:
        sender = self.app_state.get(PEER)
        transport = self.transport
        assert isinstance(sender, Peer)
        self.connections.discard(self)  # as uvicorn hands a connection on to another protocol
        _FrameProtocol(self.desk, transport, sender, self.connections).begin(self._beginning)


class _FrameProtocol(asyncio.Protocol):
    """A connection that sends frames; one of the server's ``connections``, which it waits for when it ends."""

    def __init__(self, desk: Desk, transport: asyncio.Transport, sender: Peer, connections: set[Any]) -> None:
        self._connections = connections
        self._unanswered = 0
        self._ending = False
        self._desk = desk
        self._transport = transport
        self._sender = sender
        self._reader = FrameReader()
        self._instance: str | None = None

    def begin(self, data: bytes) -> None:
        """Take the connection over; ``data`` is what it has said so far."""
        self._transport.set_protocol(self)
        self._connections.add(self)
        try:
            self._desk.roles.of(self._sender.uid)  # before anything else of it is read
            self._instance = read_preface(data[:PREFACE_BYTES])
        except SovereignError as error:
            self._turn_away(error)
            return
        self._desk.sessions.begin(self._instance)
        self.data_received(data[PREFACE_BYTES:])

    def data_received(self, data: bytes) -> None:
        """Hand in every whole frame, in order."""
        if self._ending or self._transport.is_closing():
            return
        try:
            for number, payload in self._reader.feed(data):
                self._hand_in(number, payload)
        except BadRequestError as error:
            self._turn_away(error)

    def pause_writing(self) -> None:
        """Nobody reads the answers."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Somebody does again."""
        self._transport.resume_reading()

    def connection_lost(self, _: Exception | None) -> None:
        """The caller is gone; what it handed in is written all the same."""
        self._connections.discard(self)
        if self._instance is not None:
            self._desk.sessions.end(self._instance)

    def shutdown(self) -> None:
        """The server ends: read no further, and close once everything that was handed in is answered."""
        self._ending = True
        if not self._unanswered:
            self._transport.close()

    def _hand_in(self, number: int, payload: bytes) -> None:
        try:
            records = self._records(payload)
        except SovereignError as error:
            if isinstance(error, NotYoursError):
                self._desk.refused.note(self._sender, "append_refused", cause=error.cause)
            self._answer(number, *replies.refused(error))
            return
        self._unanswered += 1
        put = self._desk.writer.put(records, proven=bool(number & PROVEN))
        put.add_done_callback(lambda done: self._settled(number, done))

    def _records(self, payload: bytes) -> list[Record]:
        entries, used = decode_entries(payload, MAX_ENTRIES)
        if used != len(payload) or not entries:
            raise BadRequestError(f"a frame holds 1 to {MAX_ENTRIES} whole entries")
        records = []
        for entry in entries:
            entry_id, event = read_entry(entry)
            self._desk.roles.admit(self._sender.uid, entry_id, event)
            records.append((entry_id, entry))
        return records

    def _settled(self, number: int, done: asyncio.Future[Receipt]) -> None:
        self._unanswered -= 1
        error = done.exception() if not done.cancelled() else AuditUnavailableError("the audit writer stopped")
        if error is None:
            self._answer(number, replies.OK, replies.appended(done.result()))
        elif isinstance(error, SovereignError):
            self._answer(number, *replies.refused(error))
        if self._ending and not self._unanswered:
            self._transport.close()

    def _answer(self, number: int, status: int, body: dict[str, Any]) -> None:
        if not self._transport.is_closing():
            self._transport.write(frame(number, json.dumps({"status": status, **body}).encode()))

    def _turn_away(self, error: SovereignError) -> None:
        if isinstance(error, NotYoursError):
            self._desk.refused.note(self._sender, "append_refused", cause=error.cause)
        self._answer(NO_NUMBER, *replies.refused(error))
        self._transport.close()
