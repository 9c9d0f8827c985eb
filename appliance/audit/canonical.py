"""An entry's event, from bytes that a caller sent, when they are the one spelling under which it is logged.

Two readers of an entry must never see different things in it, so a key said twice, a number that somebody rounds or
white space is refused. pydantic's parser (Rust) reads most entries; what it spells again byte for byte, with its keys
in order, says nothing twice. Whatever that cannot decide (escapes, exponents, large numbers, deep nesting) goes to the
strict parser and is spelled as it would be logged, which takes ten times as long. A property test holds the two equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

from airgap_bundle import strict_json
from airgap_bundle.errors import FormatError
from appliance.audit.entry import MAX_ID, encode_entry
from appliance.audit.errors import EntryRefusedError

if TYPE_CHECKING:
    from appliance.audit.ocsf import Event

MAX_DEPTH = strict_json.MAX_DEPTH - 3  # what POST /append puts around an event counts too
_LARGE = 10**17


def read_entry(entry: bytes) -> tuple[str, Event]:
    """Id and event of ``entry``. Raises ``EntryRefusedError`` unless it is what ``encode_entry`` makes of them."""
    found = _quickly(entry)
    return found if found is not None else _strictly(entry)


def _quickly(entry: bytes) -> tuple[str, Event] | None:
    """Id and event of an entry that is plainly canonical; None when it is not, or needs a closer look."""
    if b"\\" in entry or b"\x7f" in entry or not entry.isascii():
        return None
    try:
        event = from_json(entry, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        return None
    if not isinstance(event, dict) or to_json(event) != entry or not _plain(event, MAX_DEPTH):
        return None
    entry_id = _id(event)
    return (entry_id, event) if entry_id else None


def _plain(value: dict[str, Any], depth: int) -> bool:
    """Whether keys are in order at every level, and numbers are spelled as Python would spell them."""
    before = ""
    for key, one in value.items():
        if key <= before:
            return False
        before = key
        kind = type(one)
        if kind is str:
            continue
        if kind is dict:  # here and not in ``_judged``: a call for each of them is a tenth of all the time
            if depth == 1 or not _plain(one, depth - 1):
                return False
        elif kind is int:
            if not -_LARGE < one < _LARGE:
                return False
        elif not _judged(one, depth):
            return False
    return True


def _judged(value: object, depth: int) -> bool:
    """As ``_plain``, of a value of any other type, or in a list."""
    kind = type(value)
    if kind is dict:
        return depth > 1 and _plain(value, depth - 1)  # type: ignore[arg-type]  # a dict, as was just seen
    if kind is list:
        return depth > 1 and all(type(one) is str or _judged(one, depth - 1) for one in value)  # type: ignore[attr-defined]  # a list
    if kind is int:
        return -_LARGE < value < _LARGE  # type: ignore[operator]  # an int
    return value is None or kind is bool or to_json(value) == repr(value).encode()


def _id(event: Event) -> str | None:
    metadata = event.get("metadata")
    entry_id = metadata.get("uid") if isinstance(metadata, dict) else None
    return entry_id if isinstance(entry_id, str) and 0 < len(entry_id) <= MAX_ID else None


def _strictly(entry: bytes) -> tuple[str, Event]:
    try:
        event = strict_json.load_object(entry, max_depth=MAX_DEPTH)
    except FormatError as error:
        raise EntryRefusedError(f"the entry is no event: {error.cause}", error.hint) from error
    entry_id = _id(event)
    if entry_id is None:
        raise EntryRefusedError("the entry carries no id", "build it with appliance.audit.entry")
    if encode_entry(event, entry_id) != entry:
        raise EntryRefusedError("the entry is not in its canonical spelling", "build it with appliance.audit.entry")
    return entry_id, event
