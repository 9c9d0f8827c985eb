"""Where entries lie in a log that is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.audit.entry import same_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.audit.commit import Record
    from appliance.audit.log import TileLog


def find(log: TileLog, records: Sequence[Record]) -> dict[str, int]:
    """Positions of those ids that are logged, each for the event that is given here."""
    stored = log.stored([entry_id for entry_id, _ in records])
    assert all(same_event(stored[name][1], entry) for name, entry in records if name in stored)
    return {name: position for name, (position, _) in stored.items()}
