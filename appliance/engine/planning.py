"""Who is computed in the next batch, and how many rows each: one adapter at a time, and suspects by themselves.

After a batch that failed, everybody in it is a suspect, and is tried alone until a batch with it went well.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from appliance.engine.job import BATCH
from appliance.engine.scheduler import Candidate, Limits, Scheduler
from appliance.engine.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from appliance.engine.admission import AdmissionQueue
    from appliance.engine.resident import Resident


class Planner:
    """Plans for the residents of one context, beside what ``queue`` holds. Owner thread only."""

    def __init__(self, queue: AdmissionQueue, limits: Limits) -> None:
        self._queue = queue
        self._schedulers: defaultdict[str, Scheduler[Resident]] = defaultdict(lambda: Scheduler(limits))
        self._turns = Turns()
        self._suspects: list[Resident] = []
        self._last: Scheduler[Resident] | None = None

    @property
    def gives_way(self) -> bool:
        """Whether somebody who comes new while the last plan is computed would be in the next one."""
        return self._last is not None and not self._suspects and self._last.gives_way

    def undo(self) -> None:
        """The last plan was not computed."""
        if self._last is not None:
            self._last.undo()

    def plan(self, residents: Sequence[Resident]) -> dict[Resident, int]:
        """Rows of the next batch for each of ``residents`` that is in it; empty where nothing is to be computed."""
        while self._suspects:
            if self._suspects[0] in residents:
                suspect = self._suspects[0]
                return self._planned(suspect.job.adapter, [_candidate(suspect, residents)])
            self._suspects.pop(0)
        candidates = [_candidate(resident, residents) for resident in residents]
        waiting = self._queue.next()
        if waiting is not None and waiting.rank < BATCH:
            urgent = [c for c in candidates if c.rank < BATCH]
            candidates = urgent if any(c.pending for c in urgent) else candidates
        return self._of_one_adapter(candidates)

    def cleared(self, resident: Resident) -> None:
        """A batch with ``resident`` went well."""
        if resident in self._suspects:
            self._suspects.remove(resident)

    def suspect(self, failed: Collection[Resident]) -> bool:
        """Try each of ``failed``, whose batch failed, alone from now on; false where that was done already."""
        if set(failed) <= set(self._suspects):
            return False
        self._suspects = list(failed)
        return True

    def _of_one_adapter(self, candidates: Sequence[Candidate[Resident]]) -> dict[Resident, int]:
        work: defaultdict[str, list[tuple[int, str, float]]] = defaultdict(list)
        for candidate in (c for c in candidates if c.pending):
            job = candidate.key.job
            work[job.adapter].append((candidate.rank, job.user, job.weight))
        chosen = self._turns.choose(work)
        if chosen is None:
            return {}
        return self._planned(chosen, [c for c in candidates if c.key.job.adapter == chosen])

    def _planned(self, adapter: str, candidates: Sequence[Candidate[Resident]]) -> dict[Resident, int]:
        self._last = self._schedulers[adapter]
        return self._last.plan(candidates)


def _candidate(resident: Resident, residents: Sequence[Resident]) -> Candidate[Resident]:
    job = resident.job
    waiters = [r.job for r in residents if r.flight and r.flight.reading in resident.readings]
    payers = {job.user: job.weight} | {waiter.user: waiter.weight for waiter in waiters}
    return Candidate(resident, resident.pending, resident.decoding, job.rank, tuple(payers.items()), resident.filled)
