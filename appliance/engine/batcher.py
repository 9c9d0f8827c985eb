"""The owner's work, a step at a time: let go, let begin, compute one batch, draw. Owner thread only.

Failures stay with whom they concern, and a batch that was not computed is in nobody's account. One that finds no cells
changes nothing, and room is made: parked cells go, then the youngest is put off. After a batch that failed, every
request in it goes back to where it was and is tried alone; the one that fails again ends, the others go on. Of a batch
that was given up nobody is suspected.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from appliance.engine.accounts import Accounts
from appliance.engine.answering import Answering
from appliance.engine.capacity import Capacity
from appliance.engine.cell_store import CellStore
from appliance.engine.copies import Copies
from appliance.engine.endings import Endings
from appliance.engine.energy import Watch
from appliance.engine.errors import DecodeError, GivenUpError, NoRoomError
from appliance.engine.interruption import Interruption
from appliance.engine.keeping import Keeper
from appliance.engine.memory import SAVED_PART
from appliance.engine.planning import Planner
from appliance.engine.preemption import victim
from appliance.engine.prefix_values import pins_in
from appliance.engine.prefixes import PrefixCache
from appliance.engine.protocol import Failed
from appliance.engine.reception import Reception
from appliance.engine.scheduler import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.engine.admission import AdmissionQueue
    from appliance.engine.context import Context
    from appliance.engine.energy import Draw
    from appliance.engine.held import Held
    from appliance.engine.job import Job
    from appliance.engine.kv.shelf import KvShelf
    from appliance.engine.metrics import EngineMetrics
    from appliance.engine.resident import Resident


class Batcher:
    """Computes what the queue holds, at most ``slots`` requests side by side. ``accounts`` tell how things stand."""

    def __init__(  # noqa: PLR0913 - the parts it brings together, named at the one call
        self,
        context: Context,
        queue: AdmissionQueue,
        *,
        slots: int,
        chunk_tokens: int,
        apart_tokens: int | None = None,
        draw: Draw,
        metrics: EngineMetrics,
        shelf: KvShelf | None = None,
        pinned_tokens: int | None = 0,
        deliver: Callable[[], None] = lambda: None,
    ) -> None:
        """``deliver`` sends off what the step before left to say (``step``)."""
        self._context = context
        self._deliver = deliver
        self._queue = queue
        self._draw = draw
        self._metrics = metrics
        self._capacity = Capacity(context.cells)
        self._store = CellStore(context, cells=context.cells, sequences=context.sequences)
        pins = pins_in(context, slots, pinned_tokens)
        self.most_pinned = pins.cells  # tokens
        self._cache = PrefixCache(self._store, pins)
        copies = Copies(context.cells // SAVED_PART)
        self._keeper = Keeper(self._store, self._cache, copies, shelf)
        self._reception = Reception(
            context,
            queue,
            slots=slots,
            store=self._store,
            cache=self._cache,
            capacity=self._capacity,
            copies=copies,
            keeper=self._keeper,
            draw=draw,
        )
        parts = (self._store, self._cache, self._reception)
        self._endings = Endings(context, queue, *parts, self._capacity, metrics)
        self.accounts = Accounts(*parts, self._keeper, draw=draw, metrics=metrics, apart=context.apart)
        self._adapter = ""
        self._interruption = Interruption(context.give_up)
        self._planner = Planner(queue, Limits(context.batch_tokens, chunk_tokens, apart_tokens))

    @property
    def running(self) -> tuple[Job, ...]:
        """The requests at work."""
        return tuple(resident.job for resident in self._residents)

    @property
    def _residents(self) -> list[Resident]:
        return self._reception.residents

    def kept(self) -> tuple[Held, ...]:
        """What lies on disk. Any thread."""
        return self._keeper.kept()

    @property
    def pending(self) -> bool:
        """Whether a step has something to do, though nobody asks."""
        return self._keeper.pending

    def preload(self) -> None:
        """Bring back what was kept on disk; before the first step."""
        self._keeper.preload()
        self.accounts.tell(self._residents)

    def close(self) -> None:
        """Finish what is being kept on disk; after the last step."""
        self._keeper.close()

    def step(self) -> bool:
        """One turn. Returns at once when nothing is to be computed.

        True where what it had to say is left to the next one, which delivers it once a GPU has its batch, or before it
        does anything slow.
        """
        self.accounts.open()
        self._take_turn()
        return self.accounts.close(self._residents)

    def hurry(self, job: Job) -> None:
        """``job`` is in the queue. A batch may give way to who comes new. Any thread."""
        if self._reception.comes_new(job):
            self._interruption.came(job.adapter)

    def _take_turn(self) -> None:
        self._interruption.look()
        self._dismiss()
        if self._queue.waiting():
            self._deliver()  # who begins may be brought back from disk, or have others copied
        self._reception.admit()
        for resident in self._residents:
            self._reception.land(resident)
        plan = self._planner.plan(self._residents)
        if plan:
            self._compute(plan)
        else:
            self._deliver()
        self._keeper.put_away(idle=not plan)

    def _dismiss(self) -> None:
        """End what its client gave up, at work or still waiting."""
        for resident in [r for r in self._residents if r.job.cancelled.is_set()]:
            self._endings.end(resident, "cancelled")
        for job in self._queue.waiting():
            if job.cancelled.is_set() and self._queue.take(job):
                answering = job.answering or Answering(self._context, job, self._draw)
                self._endings.cancel(job, answering)

    def _compute(self, plan: dict[Resident, int]) -> None:
        watch = Watch(self._draw)
        pieces, all_rows = [resident.piece(count) for resident, count in plan.items()], sum(plan.values())
        while self._store.free < all_rows and self._cache.evict():
            pass
        adapter = next(iter(plan)).job.adapter
        decoding = sum(resident.decoding for resident in plan)
        if adapter != self._adapter:
            self._deliver()
            self._adapter = adapter
        try:
            self._context.adapt(adapter)
            with self._interruption.batch(adapter, gives_way=self._planner.gives_way):
                rows = self._context.decode(pieces)
                beside = self._meanwhile(plan)
                self._context.wait()
        except NoRoomError:
            self._planner.undo()
            self._make_room(plan)
            return
        except DecodeError as error:
            self._recover(plan, error)
            return
        cost = watch.cost()
        self.accounts.computed(cost, prompt_rows=all_rows - decoding, decode_rows=decoding, beside=beside)
        for (resident, count), piece, row in zip(plan.items(), pieces, rows, strict=True):
            meter = resident.answering.meter
            meter.step(cost, count, all_rows)
            meter.read(piece.position, piece.position + count)
            if piece.sampled:
                self._draw_for(resident, row)

    def _meanwhile(self, plan: dict[Resident, int]) -> float:
        """All that a batch need not be waited for: it has been taken. How many seconds that took. Raises nothing."""
        began = time.perf_counter()
        self._deliver()
        self.accounts.meanwhile(self._residents)
        for resident, count in plan.items():
            resident.filled += count
            self._store.appended(resident.pair, count)
            self._cache.progress(resident.readings, resident.filled)
            self._planner.cleared(resident)
        return time.perf_counter() - began

    def _draw_for(self, resident: Resident, row: int) -> None:
        watch = Watch(self._draw)
        try:
            reason = resident.answering.draw(row)
        except DecodeError as error:
            self._endings.fail(resident, Failed("decode_failed", error.cause))
            return
        cost = watch.cost()
        self.accounts.drawn(cost)
        resident.answering.meter.step(cost, 1, 1)
        if reason is not None:
            self._endings.end(resident, reason)

    def _make_room(self, plan: dict[Resident, int]) -> None:
        """What is parked goes first, then the youngest is put off; who runs alone and finds no room fails."""
        if self._cache.evict():
            return
        late = victim(self._residents)
        if late is not None:
            self._reception.put_off(late, save=True)
            return
        for resident in plan:
            self._endings.fail(resident, Failed("no_room", "the context has no room for this request"))

    def _recover(self, plan: dict[Resident, int], error: DecodeError) -> None:
        self._planner.undo()
        for resident in plan:
            if not self._store.resync(resident.pair, resident.filled):
                resident.filled = 0
        if isinstance(error, GivenUpError):
            self._metrics.gave_up()
        elif not self._planner.suspect(plan):
            for resident in plan:
                self._endings.fail(resident, Failed("decode_failed", error.cause))
