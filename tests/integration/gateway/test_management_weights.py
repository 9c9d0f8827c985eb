"""The gateway's management port says which weights answer, of each engine that does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from appliance.gateway import management
from appliance.gateway.management import create_management_app
from tests.gateway.doubles import DIGEST

if TYPE_CHECKING:
    from appliance.engine.client import ModelInfo

pytestmark = pytest.mark.anyio


async def told(house: Any) -> dict[str, Any]:
    async with house.open():
        transport = httpx.ASGITransport(create_management_app(house.gateways[-1]))
        async with httpx.AsyncClient(transport=transport, base_url="http://management") as http:
            return dict((await http.get("/weights")).json())


async def test_the_management_port_names_the_weights_of_each_engine_that_answers(house: Any) -> None:
    house.large.up = False
    found = await told(house)
    assert found["small"] == DIGEST
    assert "large" not in found


@pytest.mark.parametrize("said", [{}, {"digest": None}, {"digest": 7}, {"digest": "sha256:" + "a" * 300_000}])
async def test_an_engine_that_says_something_else_hides_no_other_s_weights(
    house: Any, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]
) -> None:
    honest = house.large.model

    async def hostile() -> ModelInfo:
        return replace(await honest(), receipt=said)

    monkeypatch.setattr(house.large, "model", hostile)
    found = await told(house)
    assert found["small"] == DIGEST
    assert "large" not in found


async def test_an_engine_that_does_not_answer_in_time_keeps_nobody_waiting(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent() -> ModelInfo:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(management, "_ENGINE_S", 0.05)
    monkeypatch.setattr(house.large, "model", silent)
    assert (await told(house))["small"] == DIGEST
