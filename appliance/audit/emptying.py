"""Emptying the journal of an open log: what lies there alone goes into tiles, and its segments are free again.

``begin`` and ``end`` are for the log's own thread; what lies between, writing, is for another, beside commits. ``now``
does all of it at once. Whoever writes tiles holds ``disk``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.audit.errors import disk_trouble
from appliance.audit.journal import SEGMENTS
from appliance.audit.settling import Unsettled

if TYPE_CHECKING:
    import threading

    from appliance.audit.journal import Journal
    from appliance.audit.open_log import OpenLog
    from appliance.audit.settling import Settlement
    from appliance.audit.storage import Storage


@dataclass(frozen=True)
class Emptying:
    """How ``journal`` is emptied into ``storage``."""

    journal: Journal
    storage: Storage
    disk: threading.Lock

    def begin(self, state: OpenLog) -> Settlement | None:
        """What is to be written now, elsewhere; None when that is nothing, or is under way or done."""
        if state.settling or not state.unsettled.entries:
            return None
        left = self.journal.turn()
        if left is None:  # the other segment could not be settled before: nothing may come in between
            self.now(state)
            return None
        state.settling = state.settlement(state.unsettled, (left,))
        state.unsettled = Unsettled()
        state.ids.take()
        return state.settling

    def end(self, state: OpenLog, settlement: Settlement, error: OSError | None) -> None:
        """``settlement`` was written, or failed with ``error``: then it is part of the next one."""
        if state.settling is not settlement:
            return  # it was settled otherwise
        state.settling = None
        if error is not None:
            state.unsettled = state.unsettled.after(settlement.unsettled)
            return
        state.settled = settlement.signed
        for segment in settlement.segments:
            self.journal.free(segment)

    def now(self, state: OpenLog) -> None:
        """Put everything into tiles, here and now. Raises ``LogFullError`` or ``AuditUnavailableError``."""
        if not (state.unsettled.entries or state.settling):
            return
        settlement = state.settlement(state.all_unsettled(), tuple(range(SEGMENTS)))
        with disk_trouble(), self.disk:
            settlement.write(self.storage)
            state.settling, state.unsettled = settlement, Unsettled()  # before another thread may write an older one
        self.end(state, settlement, None)
        state.ids.write()
