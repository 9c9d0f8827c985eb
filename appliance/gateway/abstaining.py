"""The answer where no passage fits and the site says: then abstain. No model is asked.

It goes the way of every answer (log, quota, receipt), with this in the engine's place: the receipt counts no token and
no joule, and its ``documents.outcome`` is ``abstained``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.engine.protocol import Admitted, End, Energy, Timing, Token, Usage
from appliance.memory.language import language

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from appliance.engine.client import ModelInfo
    from appliance.engine.protocol import Event, Request
    from appliance.engine.tiers import EngineTiers
    from appliance.gateway.ports import Engine

WORDS = {
    "en": "None of the documents open to you answers this. I leave it at that rather than guess.",
    "fr": "Aucun des documents qui vous sont ouverts ne répond à cela. Mieux vaut le dire que deviner.",
    "de": "Keines der Dokumente, die Ihnen offenstehen, beantwortet das. Ich belasse es dabei, statt zu raten.",
}


class Abstention:
    """Implements ``ports.Engine`` in front of ``engine``, which is not asked."""

    def __init__(self, engine: Engine, default: str) -> None:
        self._engine = engine
        self._default = default

    async def model(self) -> ModelInfo:
        """What the engine behind serves."""
        return await self._engine.model()

    async def healthy(self) -> bool:
        """As the engine behind is."""
        return await self._engine.healthy()

    async def tiers(self) -> EngineTiers:
        """As the engine behind says."""
        return await self._engine.tiers()

    async def generate(self, request: Request) -> AsyncGenerator[Event, None]:
        """Say in the question's language, else the site's first, that no document answers."""
        asked = request.messages[-1].content if request.messages else ""
        yield Admitted(0, 0, request.seed or 0)
        yield Token(WORDS.get(language(asked), WORDS[self._default]))
        yield End("stop", Usage(0, 0, 0), Timing(0.0, 0.0, 0.0), Energy(0.0, "estimated", 0.0, 0.0))
