"""The host's clock against the log's: when it is behind what was signed last, that is told, once each time.

No signature is dated before one that was given (``commit``), so while the clock is behind, all of them bear the time of
the last; entries bear the clock's. Which time that is names the episode: however often the writer starts or fails
meanwhile, the entry that tells of it has one id. The clock of a host that was ahead and is right again looks the same.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from appliance.audit.entry import encode_entry
from appliance.audit.events_operation import clock_behind
from appliance.audit.roles import WRITER

if TYPE_CHECKING:
    from appliance.audit.commit import Record

TOLERANCE_SECONDS = 5
"""Signatures count whole seconds, and time services correct a running clock by less: more misleads who reads times."""


def behind(now: float, signed: int) -> int:
    """By how many seconds a clock that shows ``now`` is behind a signature of ``signed``; 0 within the tolerance."""
    seconds = signed - int(now)
    return seconds if seconds > TOLERANCE_SECONDS else 0


def telling(now: float, signed: int) -> Record | None:
    """The entry that says so, where it is."""
    seconds = behind(now, signed)
    if not seconds:
        return None
    entry_id = WRITER.id("clock", str(signed))
    event = clock_behind(seconds=seconds, signed=signed, at=datetime.fromtimestamp(now, UTC))
    return entry_id, encode_entry(event, entry_id)
