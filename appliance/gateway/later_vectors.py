"""Vectors of documents that lack them, made by the gateway itself while nobody is being answered.

Whoever takes documents in, or changes the model for them, need not think of it, and several gateways do no harm: the
library lets one make them at a time. A few passages are read at once, so that a question that comes waits for few; a
site where somebody is always answered gets there too, slowly.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from appliance.errors import UnavailableError
from appliance.memory import vector_index
from appliance.memory.vectoring import Vectoring
from appliance.memory.vectors import Embedder

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.gateway.ports import Engine
    from appliance.gateway.running import Running
    from appliance.site.config import SiteConfig

_log = structlog.get_logger(__name__)
AT_ONCE = 8
"""Passages: about a second of the model."""
PATIENCE_SECONDS = 30.0
"""So long people's answers are waited for, before a few passages are read beside them."""
_ATTEMPTS = 3
"""An engine that is busy is left alone until the next time."""
TURN_SECONDS = 0.25
"""Between lots, for a command that wants its turn."""
_TRIES = 3
"""Of a document that gets none, behind all others; then it is left: it may be what an engine goes away at."""
INDEX_SECONDS = 600.0
"""Before an index is tried again: somebody took documents out meanwhile, the disk is full, or it takes too long."""
_LONGEST_PAUSE = 86_400.0
_USER = "site"


class LaterVectors:
    """For the site's embedding model among ``engines``; without one, there is nothing to make."""

    def __init__(
        self, site: SiteConfig, database: AsyncEngine, engines: Mapping[str, Engine], running: Running
    ) -> None:
        self._model = site.documents.model
        self._database = database
        self._engines = engines
        self._running = running
        self._due = asyncio.Event()
        self._failed: Counter[uuid.UUID] = Counter()
        self._index_due, self._pause = 0.0, INDEX_SECONDS
        self.given_up = 0
        """How many documents got no vectors as often as they were tried, and lack them still."""

    @property
    def _over(self) -> list[uuid.UUID]:
        return [one for one, times in self._failed.items() if times >= _TRIES]

    def due(self) -> None:
        """Somebody brought a document."""
        self._due.set()

    async def make(self) -> None:
        """Make what is missing, until nothing is, or another gateway or a command is at it.

        Raises ``UnavailableError`` where the embedding model does not answer, or gave a document none; what was made
        stays.
        """
        self._due.clear()
        if self._model is None:
            return
        embedder = Embedder(self._engines[self._model], _USER, attempts=_ATTEMPTS)
        made = Vectoring(self._database, embedder, AT_ONCE, late=list(self._failed), over=self._over)
        try:
            await self._quiet()
            while (lot := await made.some()) == "made":
                await asyncio.sleep(TURN_SECONDS)
                await self._quiet()
        finally:
            for one in made.given:
                del self._failed[one]
            self._failed.update(list(made.unread))
        await self._look_again(embedder)
        if lot == "done":
            await self._index(await embedder.dimensions())
        if made.unread:
            _log.warning("documents get no vectors", documents=[str(one) for one in made.unread])
            raise UnavailableError(next(iter(made.unread.values())), "run `sovereign document vectors`")

    async def _index(self, dimensions: int) -> None:
        """Make the index of many vectors; what came to nothing is tried again later, and each time later still."""
        if time.monotonic() < self._index_due or not await vector_index.wanted(self._database, dimensions):
            return
        await self._quiet()
        self._index_due = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        if await vector_index.made(self._database, dimensions):
            self._index_due, self._pause = 0.0, INDEX_SECONDS
        else:
            _log.info("the index of vectors is put off", until=f"{self._index_due - time.monotonic():.0f} s")

    async def _look_again(self, embedder: Embedder) -> None:
        """A command may have made what was given up here, or somebody took the document out."""
        over = self._over
        self.given_up = (await Vectoring(self._database, embedder, only=over).awaiting()).documents if over else 0
        if not self.given_up:
            for one in over:
                del self._failed[one]

    async def wait(self, seconds: float) -> None:
        """Until a document is brought, ``seconds`` at most."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._due.wait(), seconds)

    async def _quiet(self) -> None:
        """Until nobody is being answered, ``PATIENCE_SECONDS`` at most."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._running.idle(), PATIENCE_SECONDS)
