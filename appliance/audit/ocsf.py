"""The OCSF 1.9 envelope: which class an event belongs to, and the fields that every event carries.

Classes: Account Change 3001, Authentication 3002, Entity Management 3004, Network Activity 4001, Application Lifecycle
6002, API Activity 6003. What OCSF has no field for lies under ``unmapped.sovereign``, whose ``kind`` names the builder
in ``events``; tests hold every event against OCSF's own definitions. Of the captions that OCSF allows beside its
numbers none is written but that of an activity which OCSF has no number for: an entry is kept for months. Entries of
earlier releases have more (``spelled``). Text is freed of lone surrogates and never interpreted; what is long is kept
apart (``apart``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from appliance import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA_VERSION = "1.9.0"
MAX_TEXT = 1024
"""Bytes that a text may take in an entry; of a longer one the beginning stays there, and all of it is kept apart."""
MAX_LONG = 1 << 20
"""Bytes of a text in UTF-8, wherever it is kept."""
MAX_NAME = 200
MAX_ITEMS = 32
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_ESCAPED = frozenset('"\\')
SUCCESS, FAILURE = 1, 2
INFORMATIONAL, LOW, MEDIUM = 1, 2, 3
OTHER = 99
DENIED = {"action_id": 2, "disposition_id": 2}

Event = dict[str, Any]


@dataclass(frozen=True)
class EventClass:
    """An OCSF event class and the activities of it that we record."""

    uid: int
    name: str
    activities: dict[int, str]


ACCOUNT_CHANGE = EventClass(
    3001,
    "Account Change",
    {
        1: "Create",
        2: "Enable",
        3: "Password Change",
        4: "Password Reset",
        5: "Disable",
        6: "Delete",
        9: "Lock",
        10: "MFA Factor Enable",
        11: "MFA Factor Disable",
        99: "Other",
    },
)
AUTHENTICATION = EventClass(3002, "Authentication", {1: "Logon", 2: "Logoff"})
ENTITY_MANAGEMENT = EventClass(
    3004,
    "Entity Management",
    {1: "Create", 2: "Read", 3: "Update", 4: "Delete", 6: "Enroll", 7: "Unenroll", 8: "Enable", 9: "Disable"},
)
APPLICATION_LIFECYCLE = EventClass(
    6002,
    "Application Lifecycle",
    {
        1: "Install",
        2: "Remove",
        3: "Start",
        4: "Stop",
        5: "Restart",
        6: "Enable",
        7: "Disable",
        8: "Update",
        99: "Other",
    },
)
NETWORK_ACTIVITY = EventClass(4001, "Network Activity", {5: "Refuse"})
API_ACTIVITY = EventClass(6003, "API Activity", {1: "Create", 2: "Read", 3: "Update", 4: "Delete", 99: "Answer"})


def envelope(  # noqa: PLR0913 - one parameter per OCSF base field, all by keyword
    event_class: EventClass,
    activity: int,
    *,
    ours: Event,
    at: datetime | None,
    success: bool = True,
    severity: int = INFORMATIONAL,
    profiles: tuple[str, ...] = (),
    correlation: str | None = None,
    original: datetime | None = None,
    fields: Event | None = None,
) -> Event:
    """An event with every required base field. ``at`` is when it happened (now when None); times are milliseconds.

    ``original`` is when somebody else says that it happened: entries lie in the order of times that are ours.
    """
    moment = at if at is not None else datetime.now(UTC)
    metadata: Event = {
        "version": SCHEMA_VERSION,
        "product": {"name": "sovereign", "version": __version__},
    }
    if profiles:
        metadata["profiles"] = sorted(profiles)
    if correlation is not None:
        metadata["correlation_uid"] = text(correlation)
    if original is not None:
        metadata["original_time"] = original.isoformat(timespec="milliseconds")
    return {
        **classification(event_class, activity),
        "severity_id": severity,
        "status_id": SUCCESS if success else FAILURE,
        "time": int(moment.timestamp() * 1000),
        "metadata": metadata,
        **(fields or {}),
        "unmapped": {"sovereign": ours},
    }


def classification(event_class: EventClass, activity: int) -> Event:
    """The fields that say what sort of event one is."""
    made: Event = {
        "activity_id": activity,
        "category_uid": event_class.uid // 1000,
        "class_uid": event_class.uid,
        "type_uid": event_class.uid * 100 + activity,
    }
    return made | {"activity_name": event_class.activities[activity]} if activity == OTHER else made


def words(event_class: EventClass, activity: int) -> Event:
    """The same in OCSF's words, which entries of earlier releases have beside the numbers."""
    return {"class_name": event_class.name, "activity_name": event_class.activities[activity]}


def text(value: str) -> str:
    """``value`` as valid Unicode of at most ``MAX_LONG`` bytes; one that is cut there ends in an ellipsis."""
    if len(value) <= MAX_TEXT and value.isascii():
        return value  # nearly every text
    data = value.encode("utf-8", "replace")
    if len(data) <= MAX_LONG:
        return data.decode()
    return data[:MAX_LONG].decode("utf-8", "ignore") + ELLIPSIS


def short(value: str, limit: int = MAX_TEXT) -> str:
    """``value`` as valid Unicode that takes at most ``limit`` bytes in an entry, where JSON escapes all but ASCII.

    Control characters stay: escaped, they harm nobody. What is cut ends in an ellipsis, which is not counted.
    """
    if len(value) <= limit and value.isascii() and value.isprintable() and not _ESCAPED & set(value):
        return value  # as it is in JSON
    clean = value[:limit].encode("utf-8", "replace").decode("utf-8")
    cut = len(clean) < len(value)
    while len(json.dumps(clean)) - 2 > limit:
        clean, cut = clean[: len(clean) * 3 // 4], True
    return clean + ELLIPSIS if cut else clean


def texts(values: tuple[str, ...] | list[str]) -> list[str]:
    """A bounded list of texts: names."""
    return [text(value) for value in list(values)[:MAX_ITEMS]]


def user(subject: str, groups: tuple[str, ...] = (), *, kind: int = 1) -> Event:
    """An OCSF user known by pseudonym only; ``kind`` 1 user, 2 admin, 3 system, 4 service."""
    made: Event = {"uid": text(subject), "type_id": kind}
    if groups:
        made["groups"] = [{"name": name} for name in texts(groups)]
    return made


def compact(fields: Event) -> Event:
    """Without the fields that are None."""
    return {name: value for name, value in fields.items() if value is not None}


def maybe(value: str | None) -> str | None:
    """``text`` of a value that may be absent or empty."""
    return text(value) if value else None


def model(name: str, digest: str, producer: str | None, version: str | None = None) -> Event:
    """An OCSF AI model: its name, and its digest as identifier."""
    return compact(
        {
            "ai_provider": maybe(producer) or "unknown",
            "name": text(name),
            "uid": text(digest),
            "version": maybe(version),
        }
    )


def scalars(mapping: Mapping[str, Any]) -> Event:
    """Numbers, booleans and texts of ``mapping``; lists of texts stay lists, anything else is left out."""
    kept: Event = {}
    for name, value in list(mapping.items())[:MAX_ITEMS]:
        if isinstance(value, str):
            kept[short(name, MAX_NAME)] = text(value)
        elif isinstance(value, (bool, int, float)):
            kept[short(name, MAX_NAME)] = value
        elif isinstance(value, (list, tuple)):
            kept[short(name, MAX_NAME)] = texts([item for item in value if isinstance(item, str)])
    return kept
