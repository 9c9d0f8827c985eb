"""Asking everybody what they hold: engines side by side, each with its own patience, and the database.

Engines are not believed (``engine.tiers``) and not waited for: whatever one of them does, the others are shown. The
library is counted once at a time, however many ask: on the management port anybody on the host may.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from appliance.engine.errors import EngineAbsentError, EngineUnavailableError
from appliance.gateway.database import DATABASE_DOWN
from appliance.memory.extent import Extent, extent
from appliance.memory.hierarchy import Hierarchy, Silent, hierarchy
from appliance.memory.totals import told

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.engine.tiers import EngineTiers
    from appliance.gateway.assembly import Gateway
    from appliance.gateway.ports import Engine

PATIENCE_S = 4.0


class Counting:
    """The library, for whoever asks: those who ask while it is counted get that count. Of one gateway and one loop."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database
        self._now: asyncio.Task[Extent | None] | None = None

    async def extent(self) -> Extent | None:
        """The library; None where the database does not answer. Never longer than ``PATIENCE_S``."""
        if self._now is None or self._now.done():
            self._now = asyncio.create_task(self._count())
        return await asyncio.shield(self._now)

    async def _count(self) -> Extent | None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await extent(self._database)
        except (TimeoutError, *DATABASE_DOWN):
            return None


async def look(gateway: Gateway) -> Hierarchy:
    """The hierarchy now, with the names of the site's groups. Never longer than a few seconds."""
    models = list(gateway.engines)
    asking = asyncio.gather(*(_tiers(gateway.engines[name]) for name in models))
    library, said = await asyncio.gather(gateway.counting.extent(), asking)
    return hierarchy(
        dict(zip(models, said, strict=True)),
        gateway.savings.counted(),
        library,
        groups=frozenset(group.name for group in gateway.site.groups),
        now=datetime.now(UTC),
    )


async def totals(gateway: Gateway) -> dict[str, Any]:
    """What the management port says: sums, without engines (whoever asks there can ask them too)."""
    return told(gateway.savings.counted(), await gateway.counting.extent())


async def _tiers(engine: Engine) -> EngineTiers | Silent:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await engine.tiers()
    except TimeoutError:
        return Silent("not_known", "it does not say in time what its memory holds")
    except EngineAbsentError:
        return Silent("not_running")
    except EngineUnavailableError as error:
        return Silent("not_known", error.cause)
