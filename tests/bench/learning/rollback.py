"""How long a change that harms is still told to its share of people: a rollout that goes back by itself, on the clock.

The gateway, its database and its own loop that looks after rollouts; people of the new share mark answers down, those
of the old one nothing. The clock runs from the last mark to the first answer under the former pack.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from appliance.gateway.upkeep import watch_over
from tests.bench.claims import Claim, at_most, tell
from tests.integration.gateway.conftest import House
from tests.integration.gateway.rollout_bed import NEW, OLD, Rolling, config, under
from tests.integration.gateway.rollouts_begun import harm

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

_PATIENCE = 180.0


async def seconds(pool: AsyncEngine, folder: Path) -> float:
    """From the last mark to the former pack. Raises ``TimeoutError`` where it does not come back."""
    tell("a rollout that harms")
    await asyncio.to_thread(folder.mkdir)
    house = House(pool, folder)
    rolling = Rolling(house)
    await rolling.begin()
    async with house.open(config()) as api:
        watching = asyncio.create_task(watch_over(house.gateways[-1]))
        try:
            await asyncio.sleep(1)  # its first look finds no harm: the next one is due in full
            await harm(rolling, api)
            new = rolling.person(0.1, new=True)
            begun = time.monotonic()
            if (await under(api, new))[0] != NEW.digest:
                raise RuntimeError("the change was gone before it harmed")
            async with asyncio.timeout(_PATIENCE):
                while (await under(api, new))[0] != OLD.digest:  # noqa: ASYNC110 - asked as a person would ask again
                    await asyncio.sleep(0.2)
            return time.monotonic() - begun
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching


def claim(taken: float) -> Claim:
    """Within a minute."""
    return at_most("a change that harms is back", taken, "s", 60)
