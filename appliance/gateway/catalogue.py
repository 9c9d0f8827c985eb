"""What the engines serve: records, receipts and context sizes, asked of each engine and kept for a moment."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from appliance.engine.errors import EngineUnavailableError
from appliance.gateway.errors import NotReadyError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping

    from appliance.engine.client import ModelInfo
    from appliance.engine.protocol import Event, Request
    from appliance.engine.tiers import EngineTiers
    from appliance.gateway.ports import Engine

_FRESH_SECONDS = 15.0


class Catalogue:
    """Models by name. An engine that was restarted with another model is noticed within ``_FRESH_SECONDS``.

    Until then it answers no request that was admitted for the former one; that is when it is asked anew what it serves.
    """

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self._engines = dict(engines)
        self._known: dict[str, tuple[float, ModelInfo]] = {}

    def engine(self, name: str) -> Engine:
        """The engine of a model that entitlements granted."""
        return _Watched(self._engines[name], lambda: self._known.pop(name, None))

    async def model(self, name: str) -> ModelInfo:
        """What the model's engine says of it. Raises ``NotReadyError``."""
        seen, known = self._known.get(name, (0.0, None))
        if known is not None and time.monotonic() - seen < _FRESH_SECONDS:
            return known
        try:
            found = await self._engines[name].model()
        except EngineUnavailableError as error:
            raise NotReadyError(
                "the model does not answer at the moment", code="engine_unavailable", retry_after=5
            ) from error
        self._known[name] = (time.monotonic(), found)
        return found

    async def available(self, names: Iterable[str]) -> dict[str, ModelInfo]:
        """Those of ``names`` whose engines answer."""
        wanted = tuple(names)
        answers = await asyncio.gather(*(self._maybe(name) for name in wanted))
        return {name: found for name, found in zip(wanted, answers, strict=True) if found is not None}

    async def _maybe(self, name: str) -> ModelInfo | None:
        try:
            return await self.model(name)
        except NotReadyError:
            return None


class _Watched:
    """An engine; when it fails, ``gone`` is called: what was known of it may hold no more."""

    def __init__(self, engine: Engine, gone: Callable[[], object]) -> None:
        self._engine, self._gone = engine, gone
        self.model, self.healthy = engine.model, engine.healthy

    async def tiers(self) -> EngineTiers:
        """As the engine does."""
        return await self._engine.tiers()

    async def generate(self, request: Request) -> AsyncGenerator[Event, None]:
        """As the engine does."""
        try:
            async with contextlib.aclosing(self._engine.generate(request)) as events:
                async for event in events:
                    yield event
        except EngineUnavailableError:
            self._gone()
            raise
