"""A confined engine with random weights, through its socket: what it says it spared is what it says was cached.

The gateway's counter stands behind it, fed by the same events that make receipts. After a restart the disk is told from
the cells, and what the engine shows of its memory fits what was asked.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from appliance.engine.client import EngineClient
from appliance.engine.protocol import End
from appliance.gateway.savings import Savings
from appliance.gateway.tally import Tally
from tests.engine.asking import request
from tests.engine.served import Sizes, our_engine
from tests.engine.small_model import HEAD, LAYERS, write

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.engine.tiers import EngineTiers

RULES = "".join(f"Rule {n}: the officer approves {n * 7 % 40}. " for n in range(8))
DUTY = "".join(f"Clerks file {n * 3 % 17} before noon. " for n in range(8))
SIZES = Sizes(context_tokens=2048, parallel=4, memory_mib=400)
QUESTIONS = ("What about 7?", "What about 8?", "And whoever comes after that?")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("model") / "small.gguf")


async def asked(client: EngineClient, savings: Savings, user: str, question: str) -> Tally:
    """One answer, counted as a gateway counts it."""
    wanted = request(
        id="r",
        user=user,
        group="clerks",
        prompt=RULES + DUTY + question,
        max_tokens=6,
        temperature=0.0,
        site_characters=len(RULES),
        group_characters=len(RULES + DUTY),
    )
    tally = Tally()
    async for event in client.generate(wanted):
        if isinstance(event, End):
            tally.end(event)
    grant = SimpleNamespace(model="small", group=SimpleNamespace(name="clerks"))
    savings.count(SimpleNamespace(grant=grant), tally)  # type: ignore[arg-type]  # all that it reads of a job
    return tally


async def worked(socket: Path, savings: Savings) -> tuple[list[Tally], EngineTiers]:
    """Questions one after the other and side by side; then what the engine holds once it is idle."""
    async with EngineClient(socket) as client:
        told = [await asked(client, savings, user, one) for user in ("a", "b") for one in QUESTIONS]
        together = (asked(client, savings, user, "All of us ask this at once.") for user in "abcd")
        told += await asyncio.gather(*together)
        await asyncio.sleep(0.5)  # what was settled is written beside the next steps
        return told, await client.tiers()


def tokens(savings: Savings) -> dict[tuple[str, str, str], int]:
    return {(one.tier, one.scope, one.group): one.tokens for one in savings.counted().models.get("small", ())}


def metric(socket: Path, name: str) -> float:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://engine") as http:
        lines = http.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_what_tiers_spared_is_what_receipts_say_was_cached_over_a_restart(small: Path, tmp_path: Path) -> None:
    sums: list[dict[Any, int]] = []
    for _ in range(2):
        savings = Savings()
        with our_engine(small, SIZES, tmp_path) as engine:
            told, tiers = asyncio.run(worked(engine.socket, savings))
            cached = sum(one.usage["cached_tokens"] for one in told)
            assert sum(tokens(savings).values()) == cached > 0
            assert metric(engine.socket, "engine_spared_tokens_total") == cached
            assert metric(engine.socket, "engine_cells_live ") == sum(r.tokens for r in tiers.rows if r.tier != "disk")
            assert engine.stop() == 0
        sums.append(tokens(savings))
        rows = {(row.tier, row.scope, row.group): row for row in tiers.rows}
        site, both = rows["disk", "site", ""].tokens, rows["disk", "group", "clerks"].tokens
        assert len(RULES) <= site < both
        assert rows["pinned", "site", ""].tokens == site
        apart = len(sums) > 1  # what came back from disk shares no cell with anything
        assert rows["pinned", "group", "clerks"].tokens == (both if apart else both - site)
        assert rows["parked", "user", ""].count >= 2
        assert rows["pinned", "site", ""].size == site * LAYERS * 2 * HEAD * 2, "keys and values of 16 bits"
        assert tiers.prefill is not None
        assert tiers.prefill.joules_per_token > 0
    first, second = sums
    assert not any(tier == "disk" for tier, _, _ in first)
    assert second["disk", "site", ""] == site, "the first answer after the restart, and no other"
    assert second["disk", "group", "clerks"] == both - site
    assert second["pinned", "site", ""] == 9 * site
    assert {key[1] for key in second if key[2]} == {"group"}


def test_an_engine_without_a_disk_shows_none_and_says_no_joules_before_it_worked(small: Path) -> None:
    with our_engine(small, SIZES) as engine:

        async def told() -> EngineTiers:
            async with EngineClient(engine.socket) as client:
                return await client.tiers()

        tiers = asyncio.run(told())
    assert (tiers.rows, tiers.prefill) == ((), None)
    assert tiers.cells >= SIZES.context_tokens
