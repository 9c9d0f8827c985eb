"""An embedding engine that goes away, and beside which things happen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.engine.protocol import Vectors
from appliance.errors import UnavailableError
from tests.memory.library import CountingEngine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from appliance.engine.protocol import Event, Request


@dataclass
class StubbornEngine(CountingEngine):
    """Goes away after so many requests, and does something before each answer."""

    lasts: int = 1000
    before: Callable[[], Awaitable[None]] | None = None
    answered: list[str] = field(default_factory=list)

    async def generate(self, request: Request) -> AsyncGenerator[Event, None]:
        if self.lasts == 0:
            raise UnavailableError("the engine is gone", "-")
        self.lasts -= 1
        if self.before is not None:
            await self.before()
        async for event in super().generate(request):
            if isinstance(event, Vectors):
                self.answered += request.inputs or ()
            yield event
