"""Documents that people bring on the page: read as the command line's are, in a confined process each, one at a time.

The process has less memory than an operator's: it lives beside the gateway. Bodies are read before a document has its
turn, so that a slow one holds up nobody; a person brings one at a time. A file that cannot be read replaces nothing. A
document is for one group, which the person is in and whose people may bring some (``groups.brings_documents``); its
name there is its origin, so that the same name for the same group replaces it. Without a durable entry nothing is kept.
What a group's people bring is bounded (``groups.brought``), and each upload is a request of theirs, for quotas too.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

from sqlalchemy import select

from appliance.errors import UnavailableError
from appliance.gateway.database import needed
from appliance.gateway.errors import ExhaustedError, ForbiddenError, NotReadyError, UnprocessableError
from appliance.gateway.schema import user_key
from appliance.memory.amounts import amount
from appliance.memory.documents import NOBODY
from appliance.memory.errors import Reason
from appliance.memory.importing import Importer, Source
from appliance.memory.parsing.launch import USUAL
from appliance.memory.store import Library

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from appliance.gateway.callers import Caller
    from appliance.gateway.conversations import ConversationStore
    from appliance.gateway.ledger import Ledger
    from appliance.gateway.pseudonyms import Subject
    from appliance.gateway.quota import Quotas
    from appliance.memory.documents import Arrival
    from appliance.memory.importing import Imported
    from appliance.site.config import SiteConfig
    from appliance.site.groups import Group

MAX_UPLOAD = 32 << 20
UPLOADS = 3
"""Bodies that are read at the same time; each is held in memory until its document has had its turn."""
ANY_REASON: frozenset[Reason | None] = frozenset(get_args(Reason))
BOUNDS = replace(USUAL, file_bytes=MAX_UPLOAD, memory_bytes=512 << 20)
_PATIENCE_S = 20.0
_READ_PATIENCE_S = 120.0
"""How long a body that is here waits for its document's turn: sending it again would cost more."""


class Bringing:
    """Takes people's documents in, and tells ``brought``. ``library`` is that of everybody's documents."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a gateway has, built once
        self,
        site: SiteConfig,
        database: AsyncEngine,
        conversations: ConversationStore,
        ledger: Ledger,
        quotas: Quotas,
        brought: Callable[[], None],
    ) -> None:
        self._site = site
        self._database = database
        self._conversations = conversations
        self._groups = {group.name: group for group in site.groups}
        self._ledger = ledger
        self._quotas = quotas
        self._brought = brought
        self._turn = asyncio.Semaphore(1)
        self._uploads = asyncio.Semaphore(UPLOADS)
        self._bringing: set[Subject] = set()
        self.library = Library(database, brought_as)

    def groups_of(self, groups: Iterable[str]) -> tuple[str, ...]:
        """Groups of a person for which they may bring documents."""
        held = frozenset(groups)
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

        Raises ``ExhaustedError`` where others' take too long or no request is left, ``UnprocessableError`` where the
        group has as many as it may, ``NotReadyError`` for the site's own trouble; nothing was kept then.
        Whoever is erased meanwhile leaves the document to the group, and it names nobody.
        """
        self.check(caller, group)
        with needed():
            async with self._database.begin() as connection:
                await self._conversations.sealer(connection, caller.subject)  # a key for whoever has none yet
        await self._quotas.count(caller.subject, self._groups[group])
        await self._check_room(self._groups[group], name)
        if caller.subject in self._bringing:
            raise ExhaustedError("you are bringing another document", code="importing", retry_after=10)
        self._bringing.add(caller.subject)
        descriptor = os.memfd_create("brought", os.MFD_CLOEXEC)
        try:
            async with _turn_of(self._uploads, _PATIENCE_S):
                async for piece in body:
                    await asyncio.to_thread(_write, descriptor, piece)
                async with _turn_of(self._turn, _READ_PATIENCE_S):
                    await self._check_room(self._groups[group], name)  # others brought some meanwhile
                    return await self._taken(caller, group, name, descriptor)
        except UnavailableError as error:
            raise NotReadyError(error.cause, error.hint, code="documents_unavailable", retry_after=10) from error
        finally:
            os.close(descriptor)
            self._bringing.discard(caller.subject)

    async def _check_room(self, group: Group, name: str) -> None:
        """Raises ``UnprocessableError`` where ``group`` has no room for one more, called ``name``."""
        documents, characters = await amount(self._database, _origin(group.name, ""), _origin(group.name, name))
        if documents >= group.brought.documents or characters >= group.brought.characters:
            raise UnprocessableError(
                f"people of {group.name} have brought as many documents as the site keeps of them",
                "ask whoever operates this site to take some out",
                code="documents_full",
            )

    async def _taken(self, caller: Caller, group: str, name: str, descriptor: int) -> Imported:
        async def enter(arrival: Arrival, detail: str) -> None:
            await self._ledger.document_brought(caller=caller, digest=arrival.digest, detail=detail)

        source = Source(descriptor, name, _origin(group, name), (group,), caller.subject)
        taken = await Importer(self.library, enter, BOUNDS, ANY_REASON).take(source)
        self._brought()
        return taken


@asynccontextmanager
async def _turn_of(turns: asyncio.Semaphore, patience_s: float) -> AsyncIterator[None]:
    """One of ``turns``. Raises ``ExhaustedError`` where others' take longer than ``patience_s``."""
    try:
        await asyncio.wait_for(turns.acquire(), patience_s)
    except TimeoutError as error:
        raise ExhaustedError("another document is being read", code="importing", retry_after=10) from error
    try:
        yield
    finally:
        turns.release()


async def brought_as(connection: AsyncConnection, subject: str) -> str:
    """Whoever brings has a data key from the beginning: without one, they were erased since."""
    query = select(user_key.c.subject).where(user_key.c.subject == subject)
    return (await connection.execute(query)).scalar_one_or_none() or NOBODY


def _origin(group: str, name: str) -> str:
    return f"page:{group}/{name}"


def _write(target: int, piece: bytes) -> None:
    while piece:
        piece = piece[os.write(target, piece) :]
