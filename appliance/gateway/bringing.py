"""Documents that people bring on the page: read as the command line's are, in a confined process each, one at a time.

The process has less memory than an operator's: it lives beside the gateway. A document is for one group, which the
person is in and whose people may bring some (site.yaml, ``groups.brings_documents``); its name there is its origin, so
that the same name for the same group replaces it. Without a durable entry nothing is kept.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from appliance.errors import UnavailableError
from appliance.gateway.errors import ExhaustedError, ForbiddenError, NotReadyError
from appliance.memory.importing import Importer, Source
from appliance.memory.parsing.launch import USUAL
from appliance.memory.store import Library
from appliance.memory.vectors import Embedder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping

    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.gateway.callers import Caller
    from appliance.gateway.ledger import Ledger
    from appliance.gateway.ports import Engine
    from appliance.memory.documents import Arrival
    from appliance.memory.importing import Imported
    from appliance.site.config import SiteConfig

MAX_UPLOAD = 32 << 20
BOUNDS = replace(USUAL, file_bytes=MAX_UPLOAD, memory_bytes=512 << 20)
_PATIENCE_S = 20.0


class Bringing:
    """Takes people's documents in. ``library`` is that of everybody's documents."""

    def __init__(self, site: SiteConfig, database: AsyncEngine, engines: Mapping[str, Engine], ledger: Ledger) -> None:
        self._site = site
        self._engines = engines
        self._ledger = ledger
        self._turn = asyncio.Semaphore(1)
        self.library = Library(database)

    def groups_of(self, groups: Iterable[str]) -> tuple[str, ...]:
        """Groups of a person for which they may bring documents; on one host only, for now."""
        held = frozenset(groups)
        if self._site.profile != "host":
            return ()
        return tuple(group.name for group in self._site.groups if group.brings_documents and group.name in held)

    def check(self, caller: Caller, group: str) -> None:
        """Raises ``ForbiddenError`` where ``caller`` brings nothing for ``group``, known or not."""
        if group not in self.groups_of(caller.groups):
            raise ForbiddenError(
                "you may not bring documents for this group",
                "whoever administers this site can change that",
                code="not_for_this_group",
            )

    async def take(self, caller: Caller, group: str, name: str, body: AsyncGenerator[bytes, None]) -> Imported:
        """Take a file in; ``body`` is read when it is its turn.

        Raises ``ExhaustedError`` where others' take too long, ``NotReadyError`` for the site's own trouble; nothing was
        kept then.
        """
        self.check(caller, group)
        try:
            await asyncio.wait_for(self._turn.acquire(), _PATIENCE_S)
        except TimeoutError as error:
            raise ExhaustedError("another document is being read", code="importing", retry_after=10) from error
        try:
            return await self._taken(caller, group, name, body)
        except UnavailableError as error:
            raise NotReadyError(error.cause, error.hint, code="documents_unavailable", retry_after=10) from error
        finally:
            self._turn.release()

    async def _taken(self, caller: Caller, group: str, name: str, body: AsyncGenerator[bytes, None]) -> Imported:
        model = self._site.documents.model
        embedder = Embedder(self._engines[model], caller.subject) if model is not None else None

        async def enter(arrival: Arrival, detail: str) -> None:
            await self._ledger.document_brought(caller=caller, digest=arrival.digest, detail=detail)

        descriptor = os.memfd_create("brought", os.MFD_CLOEXEC)
        try:
            async for piece in body:
                await asyncio.to_thread(_write, descriptor, piece)
            source = Source(descriptor, name, f"page:{group}/{name}", (group,), caller.subject)
            return await Importer(self.library, embedder, enter, BOUNDS).take(source)
        finally:
            os.close(descriptor)


def _write(target: int, piece: bytes) -> None:
    while piece:
        piece = piece[os.write(target, piece) :]
