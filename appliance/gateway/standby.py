"""A model's engine, and the one that stands in for it while the model is changed: one engine to everybody else.

Whether the standby answers is decided by a file that the operator's command makes and takes away; where the file was
left and nobody answers there any more, the engine itself is asked. A request goes to the engine that serves what it was
admitted for: so answers to requests from before the change still come from the engine that began them, and a request
that is late for its model is refused there, never answered by another.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from appliance.engine.errors import EngineUnavailableError
from appliance.engine.served import receipt_digest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from appliance.engine.client import ModelInfo
    from appliance.engine.protocol import Event, Request
    from appliance.engine.tiers import EngineTiers
    from appliance.gateway.ports import Engine


class EngineWithStandby:
    """Implements ``ports.Engine``. ``diverted`` says whether ``standby`` is to be asked now."""

    def __init__(self, engine: Engine, standby: Engine, diverted: Callable[[], bool]) -> None:
        self._engine = engine
        self._standby = standby
        self._diverted = diverted
        self._asked: Engine | None = None
        self._digest: str | None = None

    async def model(self) -> ModelInfo:
        """What the engine serves that is to be asked now."""
        asked = self._now
        try:
            found = await asked.model()
        except EngineUnavailableError:
            if asked is self._engine:
                raise
            asked = self._engine
            found = await asked.model()
        self._asked, self._digest = asked, receipt_digest(found.receipt)
        return found

    async def healthy(self) -> bool:
        """Whether an engine takes requests that is to be asked now."""
        return await self._now.healthy() or (self._diverted() and await self._engine.healthy())

    async def tiers(self) -> EngineTiers:
        """What lies in the memory of the engine that is to be asked now; of the engine itself where that is gone."""
        asked = self._now
        try:
            return await asked.tiers()
        except EngineUnavailableError:
            if asked is self._engine:
                raise
            return await self._engine.tiers()

    async def generate(self, request: Request) -> AsyncGenerator[Event, None]:
        """As the engine that serves what ``request`` was admitted for; its refusal where none does."""
        if self._asked is not self._now:
            with contextlib.suppress(EngineUnavailableError):
                await self.model()
        chosen = self._engine if self._asked is self._engine else self._now
        if request.receipt_digest not in {None, self._digest}:
            chosen = self._engine if chosen is self._standby else self._standby
        async with contextlib.aclosing(chosen.generate(request)) as events:
            async for event in events:
                yield event

    @property
    def _now(self) -> Engine:
        return self._standby if self._diverted() else self._engine
