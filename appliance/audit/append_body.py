"""The entries of a POST /append, from bytes that a caller sent.

Callers of ours send the canonical spelling (``wire.post_body`` of ``encode_entry``), so the plain parser reads it and
what was read is spelled again: equal bytes prove that nothing was said twice, or otherwise than it will be logged.
Only what is not canonical, or might hold too large a number or be too deep, goes through the strict parser, which takes
three times as long and has the last word. A property test holds the two ways equal.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airgap_bundle import strict_json
from airgap_bundle.errors import FormatError
from appliance.audit.entry import encode_entry
from appliance.audit.errors import BadRequestError, EntryRefusedError
from appliance.audit.wire import post_body

if TYPE_CHECKING:
    from appliance.audit.log import Record
    from appliance.audit.ocsf import Event

MAX_BODY = 16 << 20
MAX_ENTRIES = 1024
MAX_DEPTH = strict_json.MAX_DEPTH
_DIGITS = 18  # every integer of so many characters is one of strict JSON's
_AROUND = 3  # the body, its list, and the object that holds id and event
Sent = list[tuple["Record", "Event"]]


def read_body(body: bytes) -> Sent:
    """Each entry of ``body`` as the record that is logged, and its event.

    Raises ``BadRequestError`` for anything but 1 to ``MAX_ENTRIES`` of them in strict JSON, ``EntryRefusedError`` for
    an event that cannot be logged.
    """
    return _canonical(body) or _entries(_strict(body))


def _canonical(body: bytes) -> Sent | None:
    """The entries of a canonical body; None when it is not, or needs a closer look."""
    if len(body) > MAX_BODY:
        return None
    try:
        sent = _entries(json.loads(body, parse_int=_integer))
    except (ValueError, RecursionError, BadRequestError, EntryRefusedError):
        return None
    records = [record for record, _ in sent]
    flat = all(entry.count(b"{") + entry.count(b"[") <= MAX_DEPTH - _AROUND for _, entry in records)
    return sent if flat and post_body(records) == body else None


def _integer(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError("an integer that strict JSON may refuse")
    return int(text)


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
        sent.append(((one["id"], encode_entry(one["event"], one["id"])), one["event"]))
    return sent
