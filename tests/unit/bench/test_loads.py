from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.bench.engine import loads
from tests.bench.engine.arrivals import schedule
from tests.bench.engine.completions import FailedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.anyio
SMALL = replace(loads.QUICK, trial_s=0.2, start_rate=10.0, clients=4, tokens=5, prefix_rules=3, heavy=3, light=2)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Instant:
    """Answers at once with as many tokens as were asked for; keeps every body. ``broken``: fails instead."""

    def __init__(self, *, broken: bool = False) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.at_once = self.most = 0
        self._broken = broken

    async def chunks(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        self.bodies.append(body)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await asyncio.sleep(0.001)
            if self._broken:
                raise FailedError("broken")
            yield {"choices": [{"text": "x"}]}
            await asyncio.sleep(0.001)
            yield {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": body["max_tokens"]}}
        finally:
            self.at_once -= 1


async def test_all_clients_ask_at_once_each_with_words_of_their_own() -> None:
    server = Instant()
    found = await loads.distinct(server, SMALL, seed=1)
    assert server.most == SMALL.clients
    assert len({body["prompt"] for body in server.bodies}) == len({body["user"] for body in server.bodies}) == 4
    assert found["tokens"] == 20
    assert found["tok_s"] > 0


async def test_a_shared_prefix_is_the_same_for_all_cold_and_warm_and_stated_as_the_site_s() -> None:
    cold, server = Instant(), Instant()
    await loads.shared(cold, SMALL, seed=1)
    await loads.warm(server, SMALL, seed=1)
    assert server.bodies[: len(cold.bodies)] == cold.bodies
    assert len(server.bodies) == 2 * len(cold.bodies) == 8
    lengths = {body["site_characters"] for body in server.bodies}
    assert len({body["prompt"][: min(lengths)] for body in server.bodies}) == len(lengths) == 1
    assert len({body["prompt"] for body in server.bodies}) == 8


async def test_groups_have_prefixes_of_their_own_and_every_rate_up_to_the_highest_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loads, "PROMISE_S", math.inf)
    server = Instant()
    found = await loads.groups(server, SMALL, seed=2)
    assert found["rate"] in {10.0, 20.0}
    assert found["tok_s"] > 0
    come = sum(len(schedule(rate, SMALL.trial_s, SMALL.users, 4, seed=2)) for rate in (10.0, 20.0))
    assert len(server.bodies) == come
    prefixes = {(body["group"], body["prompt"][: body["group_characters"]]) for body in server.bodies}
    assert len(prefixes) == len({group for group, _ in prefixes})


async def test_a_server_that_answers_nobody_carries_no_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loads, "_SETTLE_S", 0.0)
    server = Instant(broken=True)
    assert await loads.groups(server, replace(SMALL, trial_s=0.01, start_rate=0.1), seed=3) == {
        "tok_s": 0.0,
        "rate": 0.0,
    }
    assert server.at_once == 0


async def test_the_light_user_is_measured_alone_first_and_then_while_all_of_the_heavy_one_s_work_is_open() -> None:
    server = Instant()
    found = await loads.fairness(server, SMALL, seed=1)
    users = [body["user"] for body in server.bodies]
    assert users[:2] == ["light", "light"]
    assert users.count("heavy") == SMALL.heavy
    assert found["busy_asked"] >= 1
    assert found["heavy_tok_s"] > 0


async def test_no_two_loads_of_different_seeds_ask_the_same() -> None:
    server = Instant()
    for seed in (1, 2):
        await loads.one_stream(server, SMALL, seed)
        await loads.fairness(server, SMALL, seed)
        await loads.heavy_alone(server, SMALL, seed)
    prompts = [body["prompt"] for body in server.bodies]
    assert len(prompts) == len(set(prompts))
