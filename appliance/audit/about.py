"""The entries that are about one person, found by pseudonym in a verified log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from appliance.audit.apart import subject_of
from appliance.audit.verify import verify_log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from appliance.audit.note import VerifierKey


def entries_about(
    directory: Path,
    subject: str,
    *,
    vkeys: Sequence[VerifierKey],
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Positions and events of every entry of the log in ``directory`` whose user is ``subject``.

    Raises what ``verify_log`` raises: a log that does not hold says nothing about anybody.
    """
    found: list[dict[str, Any]] = []
    mark = json.dumps(subject).encode()

    def visit(first: int, entries: list[bytes]) -> None:
        for index, entry in enumerate(entries, first):
            if mark in entry and subject_of(event := json.loads(entry)) == subject:
                found.append({"index": index, "event": event})

    verify_log(directory, vkeys=vkeys, visit=visit, progress=progress)
    return found
