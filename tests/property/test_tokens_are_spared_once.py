"""Every token that was not computed again is counted for one tier, and the cells that are shown are the cells in use.

The loads are those of ``test_engine_isolation``: people of groups side by side, made to wait, put off, failed, gone.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from appliance.engine.errors import DecodeError, NoRoomError
from appliance.engine.protocol import End
from tests.engine.batches import Asked, Desk
from tests.engine.computed import Computed
from tests.engine.quoting_context import ADAPTERS, QuotingContext
from tests.engine.shelves import shelf_at

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.engine.kv.shelf import KvShelf

USERS, GROUPS, REQUESTS = 8, 3, 500
SITE = [97 + n % 26 for n in range(70)]


def _ask(draw: random.Random, desk: Desk, *, waits: bool = False) -> Asked:
    user = draw.randrange(USERS)
    site = SITE[: draw.choice([0, 10, 70])]
    group = [200 + 10 * (user % GROUPS) + n % 7 for n in range(draw.choice([0, 6, 66]))]
    own = [1000 + 100 * user + draw.randrange(3) for _ in range(draw.randrange(1, 20))]
    return desk.ask(
        [*site, *group, *own],
        user=f"user {user}",
        group=f"group {user % GROUPS}",
        site=len(site),
        shared=len(site) + len(group),
        most=draw.randrange(1, 10),
        rank=0 if waits else int(draw.random() < 0.1),
        alone=not waits and draw.random() < 0.01,
        adapter=draw.choice(["", "", "", *ADAPTERS]),
    )


def _worked(draw: random.Random, shelf: KvShelf | None) -> tuple[Desk, Computed, list[Asked]]:
    context = QuotingContext(cells=512, window=12, context_tokens=200, batch_tokens=24, sequences=24)
    desk = Desk(context, slots=5, chunk_tokens=10, shelf=shelf, pinned_tokens=200)
    computed = Computed(desk)
    asked: list[Asked] = []
    while len(asked) < REQUESTS or desk.batcher.running or desk.queue.waiting():
        if len(asked) < REQUESTS and len(desk.queue.waiting()) < 20:
            asked += [_ask(draw, desk) for _ in range(draw.randrange(4))]
        if draw.random() < 0.02:
            context.failures.append(draw.choice([NoRoomError("no room"), DecodeError("llama_decode returned 2")]))
        if asked and draw.random() < 0.03:
            draw.choice(asked[-8:]).job.cancelled.set()
        desk.batcher.step()
    return desk, computed, asked


@pytest.mark.parametrize("seed", range(3))
def test_the_tiers_add_up_to_what_receipts_say_was_cached(seed: int, tmp_path: Path) -> None:
    tiers: Counter[str] = Counter()
    for _ in range(2):  # the second engine finds what the first left on disk
        with shelf_at(tmp_path / "kv") as shelf:
            desk, computed, asked = _worked(random.Random(seed), shelf)
            desk.close()
        ends = [one.end for one in asked if isinstance(one.events[-1], End)]
        for end in ends:
            assert sum(one.tokens for one in end.spared) == end.usage.cached_tokens < end.usage.prompt_tokens
            assert len({(one.tier, one.scope) for one in end.spared}) == len(end.spared)
            assert all(one.tokens > 0 for one in end.spared)
            tiers.update({one.tier: one.tokens for one in end.spared})
        for one in [one for one in asked if isinstance(one.events[-1], End) and not one.job.cancelled.is_set()]:
            assert one.cached == len(one.job.tokens) - computed.tokens(one)
        assert computed.again > 200, "prompts were read again"
        shown = [row for row in desk.batcher.accounts.shown.rows if row.tier != "live"]
        assert sum(row.tokens for row in shown) == desk.batcher._store.live
    assert min(tiers[tier] for tier in ("pinned", "parked", "disk", "live")) > 0


def test_while_requests_are_at_work_the_rows_never_show_more_cells_than_there_are() -> None:
    draw = random.Random(7)
    context = QuotingContext(cells=256, window=12, context_tokens=200, batch_tokens=24, sequences=24)
    desk = Desk(context, slots=5, chunk_tokens=10, pinned_tokens=100)
    for _ in range(600):
        if len(desk.queue.waiting()) < 10:
            _ask(draw, desk)
        desk.batcher.step()
        assert all(row.tokens >= 0 and row.oldest <= row.newest for row in desk.batcher.accounts.shown.rows)
        assert sum(row.tokens for row in desk.batcher.accounts.shown.rows) <= context.cells


@pytest.mark.parametrize("seed", range(3))
def test_what_was_spared_and_what_was_computed_are_the_prompts(seed: int) -> None:
    """The other witness are the rows that the context was given: where nobody is put off, each token is one of both."""
    draw = random.Random(seed)
    context = QuotingContext(cells=4096, window=12, context_tokens=200, batch_tokens=24, sequences=60)
    desk = Desk(context, slots=12, chunk_tokens=10, pinned_tokens=200)
    asked: list[Asked] = []
    while len(asked) < REQUESTS or desk.batcher.running or desk.queue.waiting():
        if len(asked) < REQUESTS and len(desk.batcher.running) + len(desk.queue.waiting()) < 10:
            asked += [_ask(draw, desk, waits=True) for _ in range(draw.randrange(3))]
        desk.batcher.step()
    assert desk.batcher._reception.put_offs == 0
    usages = [one.end.usage for one in asked]
    tiers = Counter[str]()
    for one in asked:
        tiers.update({spared.tier: spared.tokens for spared in one.end.spared})
    assert min(tiers[tier] for tier in ("pinned", "parked", "live")) > 0
    rows = next(
        line for line in desk.batcher._metrics.exposition().splitlines() if b'kind="prompt"' in line and b"rows" in line
    )
    assert sum(one.prompt_tokens - one.cached_tokens for one in usages) == float(rows.split()[-1])
