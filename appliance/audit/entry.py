"""An entry: one event with the id under which it was appended, as canonical ASCII JSON of at most 65,535 bytes.

The id lies in the event's ``metadata.uid``, so that the index of ids can be rebuilt from the log. Keys are sorted and
everything outside ASCII is escaped: no newline, no terminal control and no invalid UTF-8 reaches a reader's screen.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from appliance.audit.errors import EntryRefusedError, EntryTooLargeError
from appliance.audit.spelled import lean
from appliance.audit.tiles import MAX_ENTRY_BYTES

MAX_ID = 200
_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True, check_circular=False
)
_MARK = b'"apart":['
Event = dict[str, Any]


def encode_entry(event: Event, entry_id: str, most: int = MAX_ENTRY_BYTES) -> bytes:
    """The bytes that are logged, or, with another ``most``, that are sent to the writer to be made shorter.

    Raises ``EntryRefusedError`` when they cannot be made or are too many.
    """
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
    if len(whole) > most:
        raise EntryTooLargeError(
            f"the entry has {len(whole)} bytes; {most} is the most",
            "log fewer things in one entry",
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
    """Whether two entries record the same thing, apart from when it was said to happen, and by which release.

    Of texts that are kept apart their beginnings and lengths count: a key that was erased or lost in between makes
    other commitments of the same text. An older release kept the beginnings alone, and said some things twice.
    """
    first, second = _timeless(one), _timeless(other)
    if (_MARK in one) != (_MARK in other):
        _forget_apart(first)
        _forget_apart(second)
    return first == second


def _timeless(data: bytes) -> Event:
    event: Event = json.loads(data)
    event.pop("time", None)
    with suppress(KeyError, TypeError, AttributeError):
        event["metadata"]["product"].pop("version", None)
    if _MARK in data:
        with suppress(KeyError, TypeError, AttributeError):
            for item in event["unmapped"]["sovereign"]["apart"]:
                item.pop("commitment", None)
                item.pop("file", None)
    return lean(event)


def _forget_apart(event: Event) -> None:
    with suppress(KeyError, TypeError, AttributeError):
        event["unmapped"]["sovereign"].pop("apart", None)
