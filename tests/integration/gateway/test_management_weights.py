"""The gateway's management port says which weights answer, of each engine that does."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from appliance.gateway.management import create_management_app
from tests.gateway.doubles import DIGEST

pytestmark = pytest.mark.anyio


async def test_the_management_port_names_the_weights_of_each_engine_that_answers(house: Any) -> None:
    house.large.up = False
    async with house.open():
        transport = httpx.ASGITransport(create_management_app(house.gateways[-1]))
        async with httpx.AsyncClient(transport=transport, base_url="http://management") as http:
            found = (await http.get("/weights")).json()
    assert found["small"] == DIGEST
    assert "large" not in found
