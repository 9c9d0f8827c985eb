"""Many users on a real context that is far too small for them: evicted, put off, failed and left, and still right.

The model is half a megabyte of random weights with sliding windows. Answers are judged one token at a time against the
model alone in an empty context: rounding may choose where the best two are close, and nothing else may.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from appliance.engine.context import Piece
from appliance.engine.errors import DecodeError, NoRoomError
from appliance.engine.llama import LlamaContext
from appliance.engine.memory import ResidentMemory
from appliance.engine.protocol import End
from tests.engine import gpu
from tests.engine.batches import Asked, Desk
from tests.engine.computed import Computed
from tests.engine.given_up import given_up_within
from tests.engine.small_model import write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from appliance.engine.answering import Answering
    from appliance.engine.job import Job

USERS, SITE = 8, [*range(40, 64)]
CLOSE = 0.05  # logits of the best two, where rounding may choose


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("model") / "small.gguf")


@pytest.fixture
def context(small: Path) -> Iterator[LlamaContext]:
    fd = os.open(small, os.O_RDONLY)
    made = LlamaContext(fd, context_tokens=200, threads=1, budget_mib=gpu.room(200))
    yield made
    made.close()
    os.close(fd)


def _ask(draw: random.Random, desk: Desk, most: int = 12) -> Asked:
    user, site = draw.randrange(USERS), draw.choice([0, 10, 24])
    own = [3 + (user * 29 + draw.randrange(3) * 7 + n * n) % 250 for n in range(draw.randrange(2, 120))]
    rank = int(draw.random() < 0.2)
    return desk.ask([*SITE[:site], *own], user=f"user {user}", site=site, most=draw.randrange(1, most), rank=rank)


def _margins(context: LlamaContext, asked: Asked, answer: Sequence[int]) -> list[float]:
    """How far the best token leads the one that was given, at every token of ``answer``, alone in an empty context."""
    context.clear()
    tokens = [*asked.job.tokens, *answer]
    found, start = [], len(asked.job.tokens)
    for at in range(0, start, context.batch_tokens):
        part = tuple(tokens[at : min(start, at + context.batch_tokens)])
        (row,) = context.decode([Piece(part, at, (0, 1), sampled=True)])
    for index, token in enumerate(answer):
        logits = context.logits(row)
        found.append(float(logits.max() - logits[token]))
        (row,) = context.decode([Piece((token,), start + index, (0, 1), sampled=True)])
    context.clear()
    return found


def test_answers_side_by_side_are_those_of_the_model_alone_within_rounding(context: LlamaContext) -> None:
    draw, plain = random.Random(5), context.decode
    desk = Desk(context, slots=4, chunk_tokens=24)
    computed = Computed(desk)
    assert (context.cells, context.sequences) == (256, 10), "room for one and a half long requests, and five pairs"
    inner = context.decode
    asked: list[Asked] = []
    answers: dict[Job, Answering] = {}

    def decode(pieces: Sequence[Piece]) -> list[int]:
        answers.update({r.job: r.answering for r in desk.batcher._residents})
        if draw.random() < 0.02:
            raise draw.choice([NoRoomError("no room"), DecodeError("llama_decode returned -3")])
        if draw.random() < 0.1:
            return given_up_within(context, draw.uniform(0, 0.002), inner, pieces)
        return inner(pieces)

    context.decode = decode  # type: ignore[method-assign]
    while len(asked) < 240 or desk.batcher.running or desk.queue.waiting():
        if len(asked) < 240 and len(desk.queue.waiting()) < 12:
            asked.append(_ask(draw, desk))
        if draw.random() < 0.02:
            draw.choice(asked[-6:]).job.cancelled.set()
        desk.batcher.step()
    context.decode = plain  # type: ignore[method-assign]
    assert "given_up" in desk.metrics.exposition().decode(), "some were computed in part"
    assert desk.batcher._cache.evicted > 100
    assert desk.batcher._reception.put_offs > 50
    assert computed.again > 100, "some went on without their cells"
    whole = [one for one in asked if isinstance(one.events[-1], End) and not one.job.cancelled.is_set()]
    assert len(whole) > 200
    assert all(one.cached == len(one.job.tokens) - computed.tokens(one) for one in whole)
    given = {one: answers[one.job].tokens[len(one.job.tokens) :] for one in whole}
    leads = [lead for one in whole for lead in _margins(context, one, given[one])]
    assert len(leads) > 800
    assert max(leads) < CLOSE
    assert np.mean(np.array(leads) > 0) < 0.005


def test_neither_memory_nor_cells_grow_with_the_number_of_requests(context: LlamaContext) -> None:
    draw, resident = random.Random(6), ResidentMemory()
    desk = Desk(context, slots=4, chunk_tokens=24)
    sizes = []
    for _ in range(6):
        for _ in range(150):
            _ask(draw, desk, most=4)
        desk.run()
        sizes.append(resident.read())
    resident.close()
    assert sizes[-1] - sizes[1] < 4 << 20
    desk.run(desk.ask([3, 4, 5], alone=True))
    assert all(context.extent(sequence) == (-1, -1) for sequence in range(context.sequences))
