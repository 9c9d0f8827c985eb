"""The engine on the demo model, beyond its window: what it shares, evicts and puts off changes no word.

Every token is judged after the ones before it: the best one in an empty context, or close to it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from appliance.engine.job import BATCH
from appliance.engine.llama import LlamaContext
from tests.engine.batches import Asked, Desk
from tests.engine.computed import Computed
from tests.engine.drawn import Drawn, lead, rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLOSE = 0.5
"""Logits of the best two, where other cells between theirs may choose: such cells move a logit by up to 0.8 here."""
PART = 600  # beyond the model's window of 512


@contextmanager
def _context(model_file: Path, context_tokens: int, slots: int) -> Iterator[LlamaContext]:
    fd = os.open(model_file, os.O_RDONLY)
    made = LlamaContext(fd, context_tokens=context_tokens, threads=1, budget_mib=900, slots=slots)
    yield made
    made.close()
    os.close(fd)


def _judge(context: LlamaContext, drawn: Drawn, *asked: Asked) -> None:
    for one in asked:
        answer = drawn.tokens(one)
        assert len(answer) > 1
        assert lead(context, one, answer) < CLOSE


def _questions(context: LlamaContext, count: int) -> list[list[int]]:
    texts = [f" Question {n}: who approves zone {n}?\nAnswer:" for n in range(count)]
    return [context.tokenize(text, control=False, begin=False) for text in texts]


def test_the_engine_shares_beginnings_and_still_draws_what_an_empty_context_draws(model_file: Path) -> None:
    with _context(model_file, 2048, slots=2) as context:
        desk = Desk(context, slots=2, chunk_tokens=64)
        drawn, text, tails = Drawn(desk), rules(context)[:800], _questions(context, 3)
        beside = [desk.ask([*text, *tail], user=f"user {n}", site=800, most=6) for n, tail in enumerate(tails)]
        desk.run()
        again = [desk.ask([*text, *tail], user=f"user {n}", site=800, most=6) for n, tail in enumerate(tails)]
        desk.run()
        assert [one.cached for one in beside] == [0, 800, 800]
        assert all(one.cached > 800 for one in again)
        _judge(context, drawn, *beside, *again)


def test_the_engine_evicts_and_puts_off_and_still_draws_what_an_empty_context_draws(model_file: Path) -> None:
    """Cells for one and a half of the requests: what is parked goes, then work that nobody waits for is put off."""
    with _context(model_file, 1024, slots=1) as context:
        assert context.cells == 1024
        desk = Desk(context, slots=2, chunk_tokens=64)
        computed, drawn = Computed(desk), Drawn(desk)
        text, (one, two, three) = rules(context)[:PART], _questions(context, 3)
        first = desk.ask([*text, *one], user="analyst", most=6)
        desk.run()
        nightly = desk.ask([*text[120:], *two], user="nightly", rank=BATCH, most=6)
        while not desk.batcher._residents or not desk.batcher._residents[0].filled:
            desk.batcher.step()
        person = desk.ask([*text[50:], *three], user="officer", most=6)
        desk.batcher.step()
        assert [job.user for job in desk.batcher.running] == ["officer"]
        desk.run()
        again = desk.ask([*text, *one], user="analyst", most=6)
        desk.run()
        assert desk.batcher._cache.evicted > 0
        assert desk.batcher._reception.put_offs > 0
        assert [asked.cached for asked in (first, nightly, person, again)] == [0, 0, 0, 0], "what was parked had gone"
        assert computed.again == 0, "who was put off went on from a copy"
        _judge(context, drawn, first, nightly, person, again)
