"""Requests run to their end on a context, step by step and without a thread."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.engine.admission import AdmissionQueue
from appliance.engine.batcher import Batcher
from appliance.engine.context import Sampling
from appliance.engine.energy import DeclaredDraw
from appliance.engine.job import Job, Owner, Passage
from appliance.engine.metrics import EngineMetrics
from appliance.engine.protocol import End, Event, Failed, Token

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from appliance.engine.context import Context
    from appliance.engine.kv.shelf import KvShelf

GREEDY = Sampling(temperature=0, top_p=1, top_k=None, seed=1, grammar=None)
DRAW = DeclaredDraw(busy=30, idle=10)
MANY = 10_000


@dataclass(eq=False)
class Asked:
    """A job and what came of it."""

    job: Job
    events: list[Event] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Token))

    @property
    def over(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1], End | Failed)

    @property
    def end(self) -> End:
        assert isinstance(self.events[-1], End), self.events[-1:]
        return self.events[-1]

    @property
    def cached(self) -> int:
        return self.end.usage.cached_tokens


class Desk:
    """A batcher with its queue, without a thread."""

    def __init__(  # noqa: PLR0913 - what a batcher is made of
        self,
        context: Context,
        *,
        slots: int = 4,
        chunk_tokens: int = 8,
        apart_tokens: int | None = None,
        limit: int = MANY,
        shelf: KvShelf | None = None,
        pinned_tokens: int = 0,
        deliver: Callable[[], None] = lambda: None,
    ) -> None:
        self.context = context
        self.queue = AdmissionQueue(limit, slots)
        self.metrics = EngineMetrics()
        self.batcher = Batcher(
            context,
            self.queue,
            slots=slots,
            chunk_tokens=chunk_tokens,
            apart_tokens=apart_tokens,
            draw=DRAW,
            metrics=self.metrics,
            shelf=shelf,
            pinned_tokens=pinned_tokens,
            deliver=deliver,
        )
        self.batcher.preload()

    def ask(  # noqa: PLR0913 - the fields of a job, by keyword
        self,
        tokens: Sequence[int],
        *,
        user: str = "analyst",
        group: str = "staff",
        site: int = 0,
        shared: int = 0,
        most: int = 8,
        rank: int = 0,
        weight: float = 1.0,
        alone: bool = False,
        kept: bool = True,
        adapter: str = "",
        sampling: Sampling = GREEDY,
        stops: tuple[str, ...] = (),
    ) -> Asked:
        """Queue a request whose first ``site`` tokens are the site's and first ``shared`` the group's."""
        owners = [
            (Owner("site", "", adapter), site),
            (Owner("group", group, adapter), shared),
            (Owner("user", user, adapter), sys.maxsize),
        ]
        job = Job(
            tokens=tuple(tokens),
            sampling=sampling,
            stops=stops,
            max_tokens=most,
            emit=lambda _event: None,
            user=user,
            weight=weight,
            rank=rank,
            alone=alone,
            kept=kept,
            adapter=adapter,
            passages=() if alone else tuple(Passage(owner, length) for owner, length in owners if length),
        )
        asked = Asked(job)
        job.emit = asked.events.append
        self.queue.put(job)
        return asked

    def run(self, *asked: Asked, steps: int = MANY) -> None:
        """Step until ``asked`` are over; all that was ever asked when none is named."""
        for _ in range(steps):
            if asked and all(one.over for one in asked):
                return
            if not asked and not self.batcher.running and not self.queue.waiting():
                return
            self.batcher.step()
        raise AssertionError("it never came to an end")

    def close(self) -> None:
        """Let what is to be kept be kept, as an engine does that stops in order."""
        while self.batcher.pending:
            self.batcher.step()
        self.batcher.close()
