"""An embedding engine that goes away, and beside which things happen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.engine.errors import EngineUnavailableError
from appliance.engine.protocol import Vectors
from tests.memory.library import CountingEngine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from appliance.engine.client import ModelInfo
    from appliance.engine.protocol import Event, Request


@dataclass
class StubbornEngine(CountingEngine):
    """Goes away after so many requests, and does something before each answer."""

    gone_after: int = 1000
    before: Callable[[], Awaitable[None]] | None = None
    answered: list[str] = field(default_factory=list)

    async def model(self) -> ModelInfo:
        if len(self.asked) >= self.gone_after:
            raise EngineUnavailableError("the engine is gone")
        return await super().model()

    async def generate(self, request: Request) -> AsyncGenerator[Event, None]:
        if len(self.asked) >= self.gone_after:
            raise EngineUnavailableError("the engine is gone")
        if self.before is not None:
            await self.before()
        async for event in super().generate(request):
            if isinstance(event, Vectors):
                self.answered += request.inputs or ()
            yield event
