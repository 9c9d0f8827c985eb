"""Asking everybody what they hold: engines side by side, each with its own patience, and the database.

Engines are not believed (``engine.tiers``) and not waited for: whatever one of them does, the others are shown.
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
    from appliance.engine.tiers import EngineTiers
    from appliance.gateway.assembly import Gateway
    from appliance.gateway.ports import Engine

PATIENCE_S = 4.0


async def look(gateway: Gateway) -> Hierarchy:
    """The hierarchy now, with the names of the site's groups. Never longer than a few seconds."""
    models = list(gateway.engines)
    asking = asyncio.gather(*(_tiers(gateway.engines[name]) for name in models))
    library, said = await asyncio.gather(_library(gateway), asking)
    return hierarchy(
        dict(zip(models, said, strict=True)),
        gateway.savings.counted(),
        library,
        groups=frozenset(group.name for group in gateway.site.groups),
        now=datetime.now(UTC),
    )


async def totals(gateway: Gateway) -> dict[str, Any]:
    """What the management port says: sums, without engines (whoever asks there can ask them too)."""
    return told(gateway.savings.counted(), await _library(gateway))


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


async def _library(gateway: Gateway) -> Extent | None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await extent(gateway.database)
    except (TimeoutError, *DATABASE_DOWN):
        return None
