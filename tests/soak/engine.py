"""Many thousands of requests on one real context that is far too small for them, with a disk behind it.

The model is half a megabyte of random weights with sliding windows, the cells hold one and a half long requests. Users
leave, batches fail, some requests ask for an empty context. Now and then an answer is judged token by token against the
model alone, in a context of its own; cells, sequences, samplers and memory must come back to where they were.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.engine.context import Piece
from appliance.engine.errors import DecodeError, NoRoomError
from appliance.engine.llama import LlamaContext
from appliance.engine.memory import MIB, ResidentMemory
from appliance.engine.protocol import End
from tests.engine import gpu
from tests.engine.batches import Asked, Desk
from tests.engine.given_up import given_up_within
from tests.engine.shelves import shelf_at
from tests.engine.small_model import write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from appliance.engine.answering import Answering
    from appliance.engine.job import Job

CLOSE = 0.05
"""Logits of the best two, where the company of other requests may choose between them by rounding."""
GROWTH_MIB = 8
_USERS, _GROUPS, _WAITING = 12, 3, 12
_SHARED = 64  # tokens: worth keeping on disk, and no more than copies may have here
_SITE = [3 + (n * n + 5 * n) % 250 for n in range(_SHARED)]
_SETTLED = 5  # parts of a hundred of the requests, after which memory should not grow any more


@dataclass
class Report:
    """What a soak came to. ``leads``: by how much the model's own best token led the one that was given."""

    requests: int
    outcomes: Counter[str] = field(default_factory=Counter)
    judged: int = 0
    tokens_judged: int = 0
    worst_lead: float = 0.0
    resident_mib: list[float] = field(default_factory=list)
    cells_left: int = 0
    requests_left: int = 0
    evicted: int = 0
    put_offs: int = 0
    restored: int = 0

    @property
    def growth_mib(self) -> float:
        """Memory at the end above what it was when everything had been used once."""
        return round(self.resident_mib[-1] - max(self.resident_mib[:_SETTLED], default=0.0), 1)

    @property
    def holds(self) -> bool:
        """Whether nothing grew, was lost or left behind, and every answer that was judged was the model's own.

        That says something only where cells were short: for every hundred requests, one has to have been put off, one
        beginning evicted and one brought back from disk.
        """
        short = min(self.evicted, self.put_offs, self.restored) >= self.requests / 100
        left = self.cells_left or self.requests_left
        lost = self.outcomes["failed"] > self.requests / 100
        right = self.judged > 0 and self.worst_lead < CLOSE
        return short and right and not left and not lost and self.growth_mib <= GROWTH_MIB


def soak(
    folder: Path,
    requests: int,
    *,
    seed: int,
    judged: float = 0.02,
    tell: Callable[[int], None] = lambda _done: None,
) -> Report:
    """Ask ``requests`` times and judge that share of the answers; ``tell`` is called with how many were asked."""
    draw, report = random.Random(seed), Report(requests)
    model = write(folder / "small.gguf")
    memory = ResidentMemory()
    with _context(model) as context, _context(model) as judge, shelf_at(folder / "kv", mib=12) as shelf:
        desk = Desk(context, slots=4, chunk_tokens=24, shelf=shelf)
        answers: dict[Job, Answering] = {}
        _make_unreliable(context, desk, draw, answers)
        open_ones: list[Asked] = []
        asked = 0
        every = max(1, requests // 100)
        while asked < requests or open_ones:
            while asked < requests and len(desk.queue.waiting()) < _WAITING:
                open_ones.append(_ask(draw, desk))
                asked += 1
                if asked % every == 0:
                    report.resident_mib.append(memory.read() / MIB)
                    tell(asked)
            if open_ones and draw.random() < 0.02:
                draw.choice(open_ones).job.cancelled.set()
            desk.batcher.step()
            for one in [o for o in open_ones if o.over]:
                open_ones.remove(one)
                answering = answers.pop(one.job, None)
                _settle(report, judge, one, answering if draw.random() < judged else None)
        report.resident_mib.append(memory.read() / MIB)
        report.evicted, report.put_offs = desk.batcher._cache.evicted, desk.batcher._reception.put_offs
        report.restored = desk.batcher._keeper.figures().restored
        _leave_nothing(desk, context, report)
    memory.close()
    return report


@contextmanager
def _context(model: Path) -> Iterator[LlamaContext]:
    descriptor = os.open(model, os.O_RDONLY)
    made = LlamaContext(descriptor, context_tokens=200, threads=1, budget_mib=gpu.room(200))
    try:
        yield made
    finally:
        made.close()
        os.close(descriptor)


def _ask(draw: random.Random, desk: Desk) -> Asked:
    user, site = draw.randrange(_USERS), draw.choice([0, 10, _SHARED])
    by_group = [3 + (user % _GROUPS * 31 + n * n) % 250 for n in range(draw.choice([0, _SHARED]) if not site else 0)]
    own = [3 + (user * 29 + draw.randrange(3) * 7 + n * n) % 250 for n in range(draw.randrange(2, 60))]
    return desk.ask(
        [*_SITE[:site], *by_group, *own],
        user=f"user {user}",
        group=f"group {user % _GROUPS}",
        site=site,
        shared=len(by_group),
        most=draw.randrange(1, 10),
        rank=int(draw.random() < 0.1),
        alone=draw.random() < 0.002,
        weight=draw.choice([0.5, 1, 4]),
    )


def _make_unreliable(context: LlamaContext, desk: Desk, draw: random.Random, answers: dict[Job, Answering]) -> None:
    """One decode in a hundred fails, and one is given up; what is being answered is noted, to be judged afterwards."""
    inner = context.decode

    def decode(pieces: Sequence[Piece]) -> list[int]:
        answers.update({r.job: r.answering for r in desk.batcher._residents})
        if draw.random() < 0.01:
            raise draw.choice([NoRoomError("no room"), DecodeError("llama_decode returned -3")])
        if draw.random() < 0.01:
            return given_up_within(context, draw.uniform(0, 0.002), inner, pieces)
        return inner(pieces)

    context.decode = decode  # type: ignore[method-assign]


def _settle(report: Report, judge: LlamaContext, one: Asked, answering: Answering | None) -> None:
    last = one.events[-1]
    outcome = last.finish_reason if isinstance(last, End) else "failed"
    report.outcomes[outcome] += 1
    if answering is None or outcome not in {"stop", "length"}:
        return
    given = answering.tokens[len(one.job.tokens) :]
    report.judged += 1
    report.tokens_judged += len(given)
    report.worst_lead = max([report.worst_lead, *_leads(judge, one.job.tokens, given)])


def _leads(judge: LlamaContext, prompt: Sequence[int], given: Sequence[int]) -> list[float]:
    """How far the best token leads the one that was given, at every token, alone in an empty context."""
    judge.clear()
    row, found = 0, []
    for at in range(0, len(prompt), judge.batch_tokens):
        (row,) = judge.decode([Piece(tuple(prompt[at : at + judge.batch_tokens]), at, (0, 1), sampled=True)])
    for index, token in enumerate(given):
        logits = judge.logits(row)
        found.append(float(logits.max() - logits[token]))
        (row,) = judge.decode([Piece((token,), len(prompt) + index, (0, 1), sampled=True)])
    return found


def _leave_nothing(desk: Desk, context: LlamaContext, report: Report) -> None:
    """A request in an empty context drops what is parked; afterwards nobody owns a cell."""
    for _ in range(20):  # some fail, by design
        last = desk.ask([3, 4, 5], alone=True, most=1)
        desk.run(last)
        if isinstance(last.events[-1], End):
            break
    report.cells_left = sum(context.extent(sequence) != (-1, -1) for sequence in range(context.sequences))
    report.cells_left += desk.batcher._store.live
    report.requests_left = len(desk.batcher.running) + len(desk.queue.waiting())
