"""Looking through entries: what somebody wants to see, and what a list shows of an entry. Pure.

Entries were signed, not validated: whatever shape one has, it shows as what can be read of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

if TYPE_CHECKING:
    from collections.abc import Sequence

_SLACK_MS = 3_600_000
"""Entries lie in the order in which they were written, up to this much from the order of their times."""
FOREIGN = "(foreign)"
"""Stands for the kind of an entry that names none."""
_OUTCOMES = {1: "success", 2: "failure"}


@dataclass(frozen=True)
class Wanted:
    """What an entry must be like; None: whatever. Times are milliseconds, ``until`` excluded."""

    since: int | None = None
    until: int | None = None
    subject: str | None = None
    group: str | None = None
    kind: str | None = None
    outcome: str | None = None
    model: str | None = None

    def fits(self, found: Found) -> bool:
        """Whether ``found`` is like that."""
        return (
            (self.since is None or found.time >= self.since)
            and (self.until is None or found.time < self.until)
            and self.subject in {None, found.subject}
            and self.kind in {None, found.kind}
            and self.model in {None, found.model}
            and (self.outcome is None or self.outcome in found.outcomes)
            and (self.group is None or self.group in found.groups)
        )


@dataclass(frozen=True)
class Found:
    """An entry as a list shows it, and the whole event."""

    index: int
    time: int
    kind: str
    subject: str | None
    groups: tuple[str, ...]
    model: str | None
    outcomes: tuple[str, ...]
    """``success`` or ``failure``, and how an answer ended or why something was refused."""
    event: dict[str, Any]


def found_in(entries: Sequence[bytes], first: int, wanted: Wanted, limit: int) -> tuple[list[Found], bool]:
    """What is ``wanted`` of a bundle that begins at position ``first``, latest first, ``limit`` at most.

    The second value says that nothing wanted lies before this bundle.
    """
    found: list[Found] = []
    latest = 0
    for offset in range(len(entries) - 1, -1, -1):
        one = read_found(first + offset, entries[offset])
        latest = max(latest, one.time)
        if wanted.fits(one):
            found.append(one)
            if len(found) == limit:
                break
    return found, bool(entries) and wanted.since is not None and latest < wanted.since - _SLACK_MS


def moment_of(entry: bytes) -> int:
    """When it was, in milliseconds; 0 where it does not say."""
    return read_found(0, entry).time


def read_found(index: int, entry: bytes) -> Found:
    """The entry at position ``index``."""
    event = _event(entry)
    ours = _object(_object(event, "unmapped"), "sovereign")
    user = _object(_object(event, "actor"), "user") or _object(event, "user")
    time = event.get("time")
    ended = [_OUTCOMES.get(_whole(event.get("status_id"))), _text(ours, "outcome"), _text(ours, "reason_code")]
    return Found(
        index=index,
        time=time if type(time) is int else 0,
        kind=_text(ours, "kind") or FOREIGN,
        subject=_text(user, "uid"),
        groups=_names(user.get("groups")),
        model=_text(_object(event, "ai_model"), "name") or _text(ours, "model_name"),
        outcomes=tuple(one for one in ended if one),
        event=event,
    )


def _event(entry: bytes) -> dict[str, Any]:
    try:
        event = from_json(entry)
    except ValueError:
        try:
            event = json.loads(entry)
        except (ValueError, RecursionError):
            return {}
    return event if isinstance(event, dict) else {}


def _names(groups: object) -> tuple[str, ...]:
    named = [_text(one, "name") for one in groups if isinstance(one, dict)] if isinstance(groups, list) else []
    return tuple(name for name in named if name)


def _object(value: dict[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: dict[str, Any], name: str) -> str | None:
    found = value.get(name)
    return found if isinstance(found, str) and found else None


def _whole(value: object) -> int:
    return value if type(value) is int else 0
