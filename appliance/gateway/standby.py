"""A model's engine, and the one that stands in for it while the model is changed: one engine to everybody else.

Whether the standby answers is decided by a file that the operator's command makes and takes away. A request goes to the
engine that serves what it was admitted for: so answers to requests from before the change still come from the engine
that began them, and a request that is late for its model is refused there, never answered by another.
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
    from appliance.gateway.ports import Engine


class EngineWithStandby:
    """Implements ``ports.Engine``. ``diverted`` says whether ``standby`` is to be asked now."""

    def __init__(self, engine: Engine, standby: Engine, diverted: Callable[[], bool]) -> None:
        self._engine = engine
        self._standby = standby
        self._diverted = diverted
        self._asked_standby = False
        self._digest: str | None = None

    async def model(self) -> ModelInfo:
        """What the engine serves that is to be asked now."""
        diverted = self._diverted()
        found = await (self._standby if diverted else self._engine).model()
        self._asked_standby, self._digest = diverted, receipt_digest(found.receipt)
        return found

    async def healthy(self) -> bool:
        """Whether the engine takes requests that is to be asked now."""
        return await self._now.healthy()

    async def generate(self, request: Request) -> AsyncGenerator[Event, None]:
        """As the engine that serves what ``request`` was admitted for; its refusal where none does."""
        if self._digest is None or self._asked_standby != self._diverted():
            with contextlib.suppress(EngineUnavailableError):
                await self.model()
        chosen = self._now
        if request.receipt_digest not in {None, self._digest}:
            chosen = self._engine if chosen is self._standby else self._standby
        async with contextlib.aclosing(chosen.generate(request)) as events:
            async for event in events:
                yield event

    @property
    def _now(self) -> Engine:
        return self._standby if self._diverted() else self._engine
