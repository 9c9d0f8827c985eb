"""Tiers are counted as receipts count: their tokens together are the cached tokens of the receipts that were given."""

from __future__ import annotations

import random
from typing import Any

import pytest

from appliance.engine.protocol import Spared
from appliance.gateway import ledger
from appliance.gateway.steps import Finished
from appliance.memory.hierarchy import Saved

pytestmark = pytest.mark.anyio
TOLD = (Spared("disk", "group", 7), Spared("pinned", "site", 20), Spared("parked", "user", 3))


def counted(bench: Any) -> tuple[Saved, ...]:
    return bench.savings.counted().models.get("small", ())


async def test_each_tier_is_counted_for_its_scope_and_a_group_by_the_name_that_paid(bench: Any) -> None:
    bench.engine.spared = TOLD
    await bench.steps()
    await bench.steps()
    assert set(counted(bench)) == {
        Saved("disk", "group", "analysts", 2, 14),
        Saved("pinned", "site", "", 2, 40),
        Saved("parked", "user", "", 2, 6),
    }


async def test_cached_tokens_of_an_engine_that_does_not_say_where_they_lay_are_counted_apart(bench: Any) -> None:
    bench.engine.untold = 12
    await bench.steps()
    assert counted(bench) == (Saved("untold", "untold", "", 1, 12),)


async def test_what_has_no_receipt_is_not_counted(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_ATTEMPT_PAUSE", 0)
    bench.engine.spared = TOLD
    await bench.steps("busy")
    await bench.steps("break")
    bench.log.refuse_kinds = frozenset({"answer"})
    await bench.steps()
    assert counted(bench) == ()


async def test_the_tokens_of_all_tiers_are_the_cached_tokens_of_the_receipts(bench: Any) -> None:
    draw, receipts = random.Random(3), 0
    for _ in range(200):
        tiers = draw.sample(("pinned", "parked", "disk", "live"), draw.randrange(4))
        bench.engine.spared = tuple(
            Spared(tier, draw.choice(("site", "group", "user")), draw.randrange(1, 90)) for tier in tiers
        )
        bench.engine.untold = 0 if tiers else draw.choice([0, 5])
        answer = await bench.start(draw.choice(["fine", "fine", "break", "busy"]))
        if draw.random() < 0.2:
            answer.stop()
        steps = [step async for step in answer.steps()]
        await answer.task
        if isinstance(steps[-1], Finished):
            receipts += steps[-1].receipt["usage"]["cached_tokens"]
    entered = sum(one["unmapped"]["sovereign"]["cached_tokens"] for one in bench.log.of_kind("answer"))
    assert sum(one.tokens for one in counted(bench)) == receipts == entered > 1000
    assert sum(_metric(bench)) == receipts


async def test_metrics_name_models_and_tiers_and_nothing_else(bench: Any) -> None:
    bench.engine.spared = TOLD
    await bench.steps()
    lines = [line for line in bench.metrics.text().decode().splitlines() if line.startswith("sovereign_spared")]
    assert any('{model="small",tier="disk"} 7.0' in line for line in lines)
    assert not any(word in line for line in lines for word in ("analysts", "group", "user"))


def _metric(bench: Any) -> list[float]:
    lines = bench.metrics.text().decode().splitlines()
    return [float(line.rpartition(" ")[2]) for line in lines if line.startswith("sovereign_spared_tokens_total")]
