"""However many ask how large the library is, the database counts once at a time, and a few seconds at most."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from appliance.gateway import hierarchy_look
from appliance.gateway.hierarchy_look import Counting
from appliance.memory.extent import Extent

pytestmark = pytest.mark.anyio
NOTHING: Any = None


class Database:
    """Counts once ``go`` is set; ``asked`` is how often it was told to."""

    def __init__(self) -> None:
        self.asked = self.given_up = 0
        self.go = asyncio.Event()

    async def extent(self, _engine: Any) -> Extent:
        self.asked += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        return Extent((), self.asked)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    made = Database()
    monkeypatch.setattr(hierarchy_look, "extent", made.extent)
    return made


async def test_who_asks_while_it_is_counted_gets_that_count_and_who_asks_later_a_new_one(database: Database) -> None:
    counting = Counting(NOTHING)
    asking = [asyncio.create_task(counting.extent()) for _ in range(200)]
    await asyncio.sleep(0)
    asking[0].cancel()  # who leaves takes nothing from the others
    await asyncio.sleep(0)
    database.go.set()
    assert {await one for one in asking[1:]} == {Extent((), 1)}
    assert (database.asked, database.given_up) == (1, 0)
    assert await counting.extent() == Extent((), 2)


async def test_a_database_that_hangs_is_given_up_and_asked_anew(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hierarchy_look, "PATIENCE_S", 0.05)
    counting = Counting(NOTHING)
    assert await asyncio.wait_for(counting.extent(), 10) is None
    assert (database.asked, database.given_up) == (1, 1)
    database.go.set()
    assert await counting.extent() == Extent((), 2)
