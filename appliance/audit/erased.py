"""Whom the log says were erased: what a restore from an older copy has to make true again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from appliance.audit import ocsf
from appliance.audit.roles import kind_of
from appliance.audit.verify import verify_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from appliance.audit.note import VerifierKey

PERSON = "person"
_MARK = json.dumps(PERSON).encode()
_KIND = "admin_change"
_DELETE = next(n for n, name in ocsf.ENTITY_MANAGEMENT.activities.items() if name == "Delete")


def erased_people(
    directory: Path, *, vkeys: Sequence[VerifierKey], progress: Callable[[int, int], None] | None = None
) -> frozenset[str]:
    """Pseudonyms of everybody whose erasure was begun, by the log in ``directory``; one that was begun is finished.

    Raises what ``verify_log`` raises: a log that does not hold says nothing about anybody.
    """
    found: set[str] = set()
    verify_log(
        directory, vkeys=vkeys, visit=lambda _first, entries: found.update(erased_in(entries)), progress=progress
    )
    return frozenset(found)


def erased_in(entries: Iterable[bytes]) -> Iterator[str]:
    """Pseudonyms of whose erasure ``entries`` tell; whether they are the log's is for the caller to know."""
    return (name for entry in entries if _MARK in entry and (name := _erased_by(entry)) is not None)


def _erased_by(entry: bytes) -> str | None:
    try:
        event = json.loads(entry)
    except (ValueError, RecursionError):  # of a log that does not hold, which its reader refuses at the end
        return None
    return event["entity"]["name"] if isinstance(event, dict) and _erases(event) else None


def _erases(event: dict[str, Any]) -> bool:
    entity = event.get("entity")
    return (
        kind_of(event) == _KIND  # the operator's alone: what else deletes is not believed of a person
        and event.get("class_uid") == ocsf.ENTITY_MANAGEMENT.uid
        and event.get("activity_id") == _DELETE
        and isinstance(entity, dict)
        and entity.get("type") == PERSON
        and isinstance(entity.get("name"), str)
    )
