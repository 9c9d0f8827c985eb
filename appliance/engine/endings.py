"""How a request ends: its cells parked or given back, its place in the queue freed, its last event said.

Owner thread only.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.engine.admission import AdmissionQueue
    from appliance.engine.answering import Answering
    from appliance.engine.capacity import Capacity
    from appliance.engine.cell_store import CellStore
    from appliance.engine.context import Context
    from appliance.engine.job import Job
    from appliance.engine.metrics import EngineMetrics
    from appliance.engine.prefixes import PrefixCache
    from appliance.engine.protocol import End, Failed, FinishReason
    from appliance.engine.reception import Reception
    from appliance.engine.resident import Resident


@dataclass(frozen=True)
class Endings:
    """The parts that have to hear of it."""

    context: Context
    queue: AdmissionQueue
    store: CellStore
    cache: PrefixCache
    reception: Reception
    capacity: Capacity
    metrics: EngineMetrics

    def end(self, resident: Resident, reason: FinishReason) -> None:
        """One at work is over; its cells are kept for its user's next request, where they may be."""
        last = resident.answering.finish(reason)
        self.cache.withdraw(resident.readings)
        self.reception.park(resident)
        self._leave(resident, last)
        if reason != "cancelled":
            self.capacity.observe(last.usage.completion_tokens)

    def fail(self, resident: Resident, last: Failed) -> None:
        """One at work failed; nothing of it is kept."""
        self.cache.withdraw(resident.readings)
        self.store.give(resident.pair)
        self._leave(resident, last)

    def cancel(self, job: Job, answering: Answering) -> None:
        """One that was taken from the queue, and is not at work, is over."""
        last = answering.finish("cancelled")
        self.reception.discard(answering)
        self._close(job, last, None)

    def _leave(self, resident: Resident, last: End | Failed) -> None:
        self.reception.residents.remove(resident)
        self.reception.discard(resident.answering)
        self._close(resident.job, last, time.monotonic() - resident.begun)
        if resident.job.alone:
            self.context.clear()

    def _close(self, job: Job, last: End | Failed, seconds: float | None) -> None:
        self.queue.finished(job, seconds)
        self.metrics.finished(last)
        job.emit(last)
