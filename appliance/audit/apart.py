"""What is too long for an entry is kept apart, and the entry commits to it. Pure.

Of a text that takes more than ``MAX_TEXT`` bytes the entry holds the beginning, and under ``unmapped.sovereign.apart``
where it stood (``at``, a JSON pointer), how many ``bytes`` of UTF-8 it has, a salted ``commitment`` to it, and the
digest of the ``file`` that holds it, sealed (``apart_store``). An item without these two is of a text that was not
kept: its sender had sent too much, or the disk was nearly full. Which texts go is decided by the entry's bytes alone:
the long ones, and where an entry has so many that it would not fit, shorter ones too.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.audit import ocsf
from appliance.audit.entry import encode_entry
from appliance.audit.errors import EntryRefusedError, EntryTooLargeError
from appliance.audit.tiles import MAX_ENTRY_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from appliance.audit.ocsf import Event

APART = "apart"
MARK = b'"apart":['
MAX_SENT = 15 << 20
"""Bytes of an event as a caller sends it, before its long texts are taken out."""
KEYS, PEOPLE = f"{APART}/keys", f"{APART}/people"
KEY_NAME = re.compile(rf"{KEYS}/[0-9a-f]{{32}}")
FILE_NAME = re.compile(rf"{APART}/([0-9a-f]{{2}})/(\1[0-9a-f]{{62}})")
SEALED_KEY_BYTES = 12 + 32 + 16
"""Nonce, key and tag."""
MAX_FILE_BYTES = 12 + 32 + ocsf.MAX_LONG + 3 + 16
"""Nonce, salt, text and tag."""
MAX_ITEMS = 96
MAX_POINTER = 400
_LONG = re.compile(rb'"[^"]{%d}' % (ocsf.MAX_TEXT + 1))
_SMALL = 1536
_LIMITS = (ocsf.MAX_TEXT, 256, 64)
_BEYOND = ocsf.MAX_LONG + len(ocsf.ELLIPSIS.encode())


@dataclass(frozen=True)
class Item:
    """A text of an entry that is kept apart; without commitment and file where it is not kept after all."""

    at: str
    size: int
    commitment: str | None = None
    file: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As the entry has it."""
        kept = {"commitment": self.commitment, "file": self.file} if self.file else {}
        return {"at": self.at, "bytes": self.size, **kept}


@dataclass(frozen=True)
class Long:
    """A text of an event: where it stands, and all of it."""

    at: str
    text: str

    @property
    def size(self) -> int:
        """In bytes of UTF-8."""
        return len(self.text.encode())


def may_be_long(entry: bytes) -> bool:
    """Whether an encoded event has a text that is to be kept apart.

    It is asked of every entry, and quick: in small entries, and between quotation marks, a longer text stays as it is.
    """
    return len(entry) > _SMALL and (len(entry) > MAX_ENTRY_BYTES or _LONG.search(entry) is not None)


def require_own(event: Event) -> None:
    """Raises ``EntryRefusedError`` when a sender's event says itself what is kept apart: the writer alone knows."""
    unmapped = event.get("unmapped")
    ours = unmapped.get("sovereign") if isinstance(unmapped, dict) else None
    if isinstance(ours, dict) and APART in ours:
        raise EntryRefusedError("what is kept apart of an entry is for the writer to say", "send the text itself")


def set_apart(event: Event, entry_id: str) -> tuple[Event, tuple[Long, ...]]:
    """``event`` with the beginnings of its long texts, and the texts; the event itself where nothing is long.

    Raises ``EntryTooLargeError`` where it cannot be made to fit, or a text is longer than is kept anywhere.
    """
    for limit in _LIMITS:
        found: list[Long] = []
        made = _shortened(event, "", limit, found)
        items = [Item(one.at, one.size, "sha256:" + "0" * 64, "sha256:" + "0" * 64) for one in found]
        if len(encode_entry(told(made, items) if items else made, entry_id, ocsf.MAX_LONG * 16)) <= MAX_ENTRY_BYTES:
            return made, tuple(found)
    raise EntryTooLargeError(
        f"the entry has more than the {MAX_ENTRY_BYTES} bytes that a log entry holds, without its long texts",
        "log fewer things in one entry",
    )


def told(event: Event, items: Iterable[Item]) -> Event:
    """``event`` saying what is kept apart of it. Raises ``EntryRefusedError`` for one that is no event of ours."""
    unmapped = event.get("unmapped")
    ours = unmapped.get("sovereign") if isinstance(unmapped, dict) else None
    if not isinstance(ours, dict) or not isinstance(unmapped, dict):
        raise EntryRefusedError("nothing in the event says what is kept apart", "build it with appliance.audit.events")
    return event | {"unmapped": unmapped | {"sovereign": ours | {APART: [one.as_json() for one in items]}}}


def items_of(event: Event) -> tuple[Item, ...]:
    """What an entry says is kept apart of it. Raises ``ValueError`` where it says it otherwise than we do."""
    unmapped = event.get("unmapped")
    ours = unmapped.get("sovereign") if isinstance(unmapped, dict) else None
    try:
        items = ours.get(APART, []) if isinstance(ours, dict) else []
        found = tuple(Item(one["at"], one["bytes"], one.get("commitment"), one.get("file")) for one in items)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("the entry does not say what is kept apart of it as the writer does") from error
    for one in found:
        digests = {type(one.commitment), type(one.file)}
        if not isinstance(one.at, str) or type(one.size) is not int or digests not in ({str}, {type(None)}):
            raise ValueError("the entry does not say what is kept apart of it as the writer does")
    return found


def subject_of(event: Event) -> str:
    """Whose texts an event's are: its user's; empty where it names nobody."""
    actor = event.get("actor")
    user = event.get("user") or (actor.get("user") if isinstance(actor, dict) else None)
    uid = user.get("uid") if isinstance(user, dict) else None
    return uid if isinstance(uid, str) else ""


def kept_in(entries: Iterable[bytes]) -> Iterator[tuple[int, Item]]:
    """Every item that has a file in ``entries``, with its entry's place among them."""
    for place, entry in enumerate(entries):
        if MARK in entry:
            try:
                items = items_of(json.loads(entry))
            except ValueError:  # somebody's text that looks like it, or no entry of ours
                continue
            yield from ((place, item) for item in items if item.file)


def _shortened(value: Any, at: str, limit: int, found: list[Long]) -> Any:
    if isinstance(value, str):
        if len(value) * 6 <= limit or len(json.dumps(value)) - 2 <= limit:
            return value
        if len(at) > MAX_POINTER or len(found) == MAX_ITEMS:
            raise EntryTooLargeError(
                f"more than {MAX_ITEMS} texts of the entry are too long, or one at a place that is too deep",
                "log fewer things in one entry",
            )
        clean = value.encode("utf-8", "replace").decode()
        if len(clean.encode()) > _BEYOND:
            raise EntryTooLargeError(f"a text of the entry has more than {ocsf.MAX_LONG} bytes", "log its digest")
        found.append(Long(at, clean))
        return ocsf.short(clean, limit)
    if isinstance(value, dict):
        return {key: _shortened(one, f"{at}/{_step(key)}", limit, found) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shortened(one, f"{at}/{place}", limit, found) for place, one in enumerate(value)]
    return value


def _step(key: object) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")
