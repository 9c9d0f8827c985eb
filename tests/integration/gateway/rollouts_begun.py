"""What tests of rollouts stand on: one that is begun, what was decided of it, and people who fare badly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.gateway.rollout_bed import Rolling, ask, config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from appliance.gateway.rollout_watch import Watch
    from tests.integration.gateway.conftest import House


@pytest.fixture
def rolling(house: House) -> Rolling:
    return Rolling(house)


@pytest.fixture
async def api(house: House, rolling: Rolling) -> AsyncIterator[httpx.AsyncClient]:
    await rolling.begin()
    async with house.open(config()) as client:
        yield client


def watch(house: House) -> Watch:
    return house.gateways[-1].watch


def decisions(house: House) -> list[dict[str, Any]]:
    return [one["unmapped"]["sovereign"]["figures"] for one in house.log.of_kind("rollout_decision")]


async def harm(rolling: Rolling, api: httpx.AsyncClient, count: int = 8) -> None:
    """People of the new arm mark everything down, and those of the old one nothing."""
    for number, (new, old) in enumerate(
        zip(rolling.people(count, 0.1, new=True), rolling.people(count, 0.1, new=False), strict=True)
    ):
        for who in (old, new):
            assert (await ask(api, who, f"question {number}")).status_code == 200
        await rolling.mark(new)
