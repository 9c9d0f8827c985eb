"""Who begins, and who has to make way for that. Owner thread only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.engine.answering import Answering
from appliance.engine.job import INTERACTIVE
from appliance.engine.preemption import victim_for
from appliance.engine.prefix_values import Credit
from appliance.engine.resident import Resident
from appliance.engine.sparing import spared

if TYPE_CHECKING:
    from appliance.engine.admission import AdmissionQueue
    from appliance.engine.capacity import Capacity
    from appliance.engine.cell_store import CellStore
    from appliance.engine.context import Context
    from appliance.engine.copies import Copies
    from appliance.engine.energy import Draw
    from appliance.engine.job import Job
    from appliance.engine.keeping import Keeper
    from appliance.engine.prefixes import PrefixCache


class Reception:
    """Moves requests between the queue and ``residents``, which is in order of their beginning.

    ``put_offs`` counts requests that were put off.
    """

    def __init__(  # noqa: PLR0913 - the parts it brings together, named at the one call
        self,
        context: Context,
        queue: AdmissionQueue,
        *,
        slots: int,
        store: CellStore,
        cache: PrefixCache,
        capacity: Capacity,
        copies: Copies,
        keeper: Keeper,
        draw: Draw,
    ) -> None:
        self._context = context
        self._queue = queue
        self._slots = slots
        self._store = store
        self._cache = cache
        self._capacity = capacity
        self._copies = copies
        self._keeper = keeper
        self._draw = draw
        self.put_offs = 0
        self.residents: list[Resident] = []

    def admit(self) -> None:
        """Let begin whoever's turn it is, while there is room."""
        while (job := self._queue.next()) is not None and self._begin(job):
            pass

    def comes_new(self, job: Job) -> bool:
        """Whether ``job``, which waits, is a person's only request here and would begin at once. Any thread."""
        running = tuple(self.residents)
        if job.rank != INTERACTIVE or job.alone or any(r.job.alone for r in running) or not self._queue.only_one(job):
            return False
        return len(running) < self._slots or victim_for(job, running) is not None

    def put_off(self, resident: Resident, *, save: bool) -> None:
        """Stop computing ``resident``; it goes on later where it was.

        ``save``: its cells are needed at once, so a copy is kept outside the context, as far as ``copies`` allows.
        Otherwise they are parked, and may still be there.
        """
        answering, job = resident.answering, resident.job
        self.put_offs += 1
        self._cache.withdraw(resident.readings)
        if save:
            if self._copies.take(resident.filled):
                answering.saved, answering.saved_tokens = self._store.save(resident.pair), resident.filled
            self._store.give(resident.pair)
        else:
            self.park(resident)
        self.residents.remove(resident)
        job.answering = answering
        self._queue.requeue(job)

    def park(self, resident: Resident) -> None:
        """Keep the cells of a request that is over for the next one of its user, where they may be kept."""
        user = resident.job.passages[-1:]
        if resident.filled and user and resident.job.kept and not resident.job.alone:
            self._cache.park(user[0].owner, tuple(resident.answering.tokens[: resident.filled]), resident.pair)
        else:
            self._store.give(resident.pair)

    def discard(self, answering: Answering) -> None:
        """Forget the copy of a request that will not go on."""
        if answering.saved is not None:
            self._copies.give(answering.saved_tokens)
        answering.close()

    def land(self, resident: Resident) -> None:
        """Take what ``resident`` waited for, once it is there, and look whether to wait for more."""
        if resident.flight is None or not resident.flight.landed:
            return
        credit = self._cache.credit(tuple(resident.answering.tokens[:-1]), resident.job.passages)
        if credit.length > resident.filled:
            self._store.cut(resident.pair, 0)
            self._take_over(resident, credit)
        self._set_out(resident)

    def _begin(self, job: Job) -> bool:
        """Whether ``job``, whose turn it is, began or is gone; false when it has to wait."""
        if any(r.job.alone for r in self.residents) or (job.alone and self.residents):
            return False
        if job.alone:
            self._cache.forget()
            self._context.clear()
            self._store.forget()
        own = sum(r.job.user == job.user for r in self.residents)
        while len(self.residents) >= self._slots:
            if (late := victim_for(job, self.residents)) is None:
                return False
            self.put_off(late, save=False)
        answering = job.answering or Answering(self._context, job, self._draw)
        if answering.saved is None and not job.alone:
            self._keeper.fetch(tuple(answering.tokens[:-1]), job)
        credit = self._credit_with_room(job, answering, first=not own)
        if credit is None:
            return False
        pair = self._cache.take(credit.source)
        if pair is None or not self._queue.take(job):
            if pair is not None:
                self._store.give(pair)
            return pair is not None
        resident = Resident(job, answering, pair)
        self.residents.append(resident)
        self._continue(resident, credit)
        self._set_out(resident)
        return True

    def _credit_with_room(self, job: Job, answering: Answering, *, first: bool) -> Credit | None:
        """Make room for what ``job`` is expected to need, beside what is there already; ``None``: it has to wait."""
        while True:
            credit = Credit() if answering.saved else self._cache.credit(tuple(answering.tokens[:-1]), job.passages)
            while self.residents and self._shortage(job, answering, credit, first=first) > 0:
                if not self._cache.evict(credit.source):
                    break
            else:
                return credit
            if (late := victim_for(job, self.residents)) is None:
                return None
            self.put_off(late, save=True)

    def _shortage(self, job: Job, answering: Answering, credit: Credit, *, first: bool) -> int:
        tokens = tuple(answering.tokens)
        flight = self._cache.flight(tokens[:-1], job.passages, have=credit.length, rank=job.rank)
        there = flight.length if flight and not answering.saved else credit.length
        need = len(tokens) - there + self._capacity.expected(answering.room)
        return self._capacity.shortage(need, free=self._store.free, promised=self._promised(), first=first)

    def _promised(self) -> int:
        """Cells that running requests will still take."""
        return sum(len(r.answering.tokens) - r.soon + self._capacity.expected(r.answering.room) for r in self.residents)

    def _continue(self, resident: Resident, credit: Credit) -> None:
        """Give ``resident`` the cells that are there already: its own copy, or a shared beginning."""
        answering = resident.answering
        if answering.saved is not None:
            state, length = answering.saved, answering.saved_tokens
            answering.saved = None
            self._copies.give(length)
            if self._store.restore(resident.pair, state, length):
                resident.filled = length
            else:
                credit = self._cache.credit(tuple(answering.tokens)[:-1], resident.job.passages)
        if not resident.filled and credit.length:
            self._take_over(resident, credit)
        answering.meter.started(resident.begun)

    def _take_over(self, resident: Resident, credit: Credit) -> None:
        assert credit.source is not None
        self._store.share(credit.source.pair, resident.pair, credit.length)
        resident.filled = credit.length
        meter, job = resident.answering.meter, resident.job
        meter.spare(spared(self._cache, job.tokens, job.passages, credit, have=meter.reached))

    def _set_out(self, resident: Resident) -> None:
        """Wait for what is on its way, or announce what will be read now."""
        job, tokens = resident.job, tuple(resident.answering.tokens)
        resident.flight = self._cache.flight(tokens[:-1], job.passages, have=resident.filled, rank=job.rank)
        if resident.flight is None:
            resident.readings = self._cache.announce(tokens, job.passages, resident.pair, job.rank)
            self._cache.progress(resident.readings, resident.filled)
