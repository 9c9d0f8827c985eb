"""The entries of a POST /append, from bytes that a caller sent, and what of them their sender may write.

Read strictly: nothing is said twice, or otherwise than it will be logged. Who appends all day sends frames instead,
whose entries are spelled as they are logged (``canonical``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airgap_bundle import strict_json
from airgap_bundle.errors import FormatError
from appliance.audit.entry import encode_entry
from appliance.audit.errors import BadRequestError, EntryTooLargeError

if TYPE_CHECKING:
    from starlette.requests import Request

    from appliance.audit.commit import Record
    from appliance.audit.ocsf import Event
    from appliance.audit.roles import Roles

MAX_BODY = 16 << 20
MAX_ENTRIES = 1024
MAX_DEPTH = strict_json.MAX_DEPTH
Sent = list[tuple["Record", "Event"]]


async def whole_body(request: Request) -> bytes:
    """The bytes of a POST. Raises ``EntryTooLargeError`` before it has read more than ``MAX_BODY`` of them."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY:
            raise EntryTooLargeError(f"the request has more than {MAX_BODY} bytes", "append fewer entries at a time")
        parts.append(part)
    return b"".join(parts)


def admitted(body: bytes, uid: int | None, roles: Roles) -> Sent:
    """What is in the body of a POST by ``uid``. Raises as ``read_body``, and ``NotYoursError``."""
    sent = read_body(body)
    for (entry_id, _), event in sent:
        roles.admit(uid, entry_id, event)
    return sent


def read_body(body: bytes) -> Sent:
    """Each entry of ``body`` as a record, and its event. It may be longer than what is logged: see ``apart``.

    Raises ``BadRequestError`` for anything but 1 to ``MAX_ENTRIES`` of them in strict JSON, ``EntryRefusedError`` for
    an event that cannot be logged.
    """
    return _entries(_strict(body))


def _strict(body: bytes) -> Any:
    try:
        return strict_json.loads(body, max_bytes=MAX_BODY, max_depth=MAX_DEPTH)
    except FormatError as error:
        raise BadRequestError(error.cause, error.hint) from error


def _entries(asked: Any) -> Sent:
    entries = asked.get("entries") if isinstance(asked, dict) else None
    if not isinstance(entries, list) or not 0 < len(entries) <= MAX_ENTRIES:
        raise BadRequestError(f"entries must be a list of 1 to {MAX_ENTRIES}")
    sent: Sent = []
    for one in entries:
        if not (isinstance(one, dict) and isinstance(one.get("id"), str) and isinstance(one.get("event"), dict)):
            raise BadRequestError("each entry needs an id (text) and an event (object)")
        sent.append(((one["id"], encode_entry(one["event"], one["id"], MAX_BODY)), one["event"]))
    return sent
