"""An entry: one event with the id under which it was appended, as canonical ASCII JSON of at most 65,535 bytes.

The id lies in the event's ``metadata.uid``, so that the index of ids can be rebuilt from the log. Keys are sorted and
everything outside ASCII is escaped: no newline, no terminal control and no invalid UTF-8 reaches a reader's screen.
"""

from __future__ import annotations

import json
from typing import Any

from appliance.audit.errors import EntryRefusedError, EntryTooLargeError
from appliance.audit.tiles import MAX_ENTRY_BYTES

MAX_ID = 200
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
Event = dict[str, Any]


def encode_entry(event: Event, entry_id: str) -> bytes:
    """The bytes that are logged. Raises ``EntryRefusedError`` when they cannot be made or are too many."""
    if not isinstance(entry_id, str) or not 0 < len(entry_id) <= MAX_ID:
        raise EntryRefusedError(f"an entry's id is a text of 1 to {MAX_ID} characters")
    metadata = event.get("metadata")
    if not isinstance(metadata, dict):
        raise EntryRefusedError("the event has no metadata object", "build it with appliance.audit.events")
    if metadata.get("uid", entry_id) != entry_id:
        raise EntryRefusedError("the event's metadata.uid is not the id it is appended under")
    try:
        whole = _ENCODER.encode(event | {"metadata": metadata | {"uid": entry_id}})
        if "\\ud" in whole:  # perhaps a lone surrogate, which no UTF-8 reader could take
            json.dumps(json.loads(whole), ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise EntryRefusedError(f"the event is not plain JSON: {error}") from error
    if len(whole) > MAX_ENTRY_BYTES:
        raise EntryTooLargeError(
            f"the entry has {len(whole)} bytes; {MAX_ENTRY_BYTES} is the most a log entry holds",
            "keep large fields elsewhere and log their commitment",
        )
    return whole.encode("ascii")


def decode_entry(data: bytes) -> tuple[str, Event]:
    """Id and event of a logged entry. Raises ``ValueError`` when the bytes are not an entry of ours."""
    event = json.loads(data)
    metadata = event.get("metadata") if isinstance(event, dict) else None
    entry_id = metadata.get("uid") if isinstance(metadata, dict) else None
    if not isinstance(entry_id, str) or not 0 < len(entry_id) <= MAX_ID:
        raise ValueError("the entry carries no id")
    return entry_id, event


def same_event(one: bytes, other: bytes) -> bool:
    """Whether two entries record the same thing, apart from when it was said to happen."""
    return _timeless(one) == _timeless(other)


def _timeless(data: bytes) -> Event:
    event: Event = json.loads(data)
    event.pop("time", None)
    return event
