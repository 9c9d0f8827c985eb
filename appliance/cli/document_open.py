"""What the commands on documents stand on: the site's library, its embedding model, and the audit log."""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from appliance.audit.client import SyncAuditClient
from appliance.audit.events_operation import admin_change
from appliance.audit.roles import OPERATOR
from appliance.cli.learn_site import described_site
from appliance.cli.site_database import site_pool
from appliance.cli.terminal import say
from appliance.engine.client import EngineClient
from appliance.errors import UsageError
from appliance.gateway.looking import Looking
from appliance.memory.retrieval import Retrieval
from appliance.memory.store import Library
from appliance.memory.vectoring import Vectoring
from appliance.memory.vectors import Embedder
from appliance.site.paths import AUDIT, SitePaths, engine_service

if TYPE_CHECKING:
    import uuid
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.memory.documents import Arrival
    from appliance.site.config import SiteConfig


TRY_AGAIN = "end what uses it (a backup, an open session), and run `sovereign document sweep`"


@dataclass(frozen=True)
class Desk:
    """An open library. ``embedder`` is None where the site names no embedding model."""

    paths: SitePaths
    site: SiteConfig
    library: Library
    retrieval: Retrieval
    embedder: Embedder | None
    pool: AsyncEngine

    @property
    def actor(self) -> str:
        """Who acts, as the log names operators."""
        return f"uid {os.getuid()}"

    def vectoring(self, embedder: Embedder, only: Sequence[uuid.UUID] | None = None) -> Vectoring:
        """A round of giving vectors to documents that lack some, or to ``only``."""
        return Vectoring(self.pool, embedder, only=only)

    async def enter(self, arrival: Arrival, detail: str) -> None:
        """Put an import into the audit log; returns once that is durable."""
        await asyncio.to_thread(self._append, "create", arrival.digest, detail)

    async def enter_deletion(self, digest: str, detail: str) -> None:
        """Put a deletion into the audit log; returns once that is durable."""
        await asyncio.to_thread(self._append, "delete", digest, detail)

    def _append(self, action: Literal["create", "delete"], digest: str, detail: str) -> None:
        """By digest: names and titles of documents would outlive them in a log that forgets nothing."""
        event = admin_change(
            actor=self.actor, action=action, kind="document", target=digest, detail=detail, after_digest=digest
        )
        with SyncAuditClient(self.paths.socket(AUDIT)) as audit:
            audit.append(event, id=OPERATOR.id("document", secrets.token_hex(16)))


def known_groups(site: SiteConfig, named: Sequence[str]) -> tuple[str, ...]:
    """``named``, if they are groups of the site. Raises ``UsageError``."""
    known = [group.name for group in site.groups]
    if unknown := [name for name in named if name not in known]:
        raise UsageError(f"{unknown[0]} is not a group of this site", f"its groups are {', '.join(known)}")
    return tuple(dict.fromkeys(named))


def meaning_for(site: SiteConfig, groups: Sequence[str] | None) -> float:
    """What meaning counts where people of ``groups`` are answered: of one group its own, of several the site's."""
    own = [Looking.of(site, group).meaning for group in site.groups if [group.name] == list(groups or ())]
    return own[0] if own else site.documents.meaning


@asynccontextmanager
async def desk(paths: SitePaths, passphrase_fd: int | None) -> AsyncIterator[Desk]:
    """The site's library, open. Raises ``UnavailableError`` when the database does not answer."""
    site = described_site(paths)
    model = site.documents.model
    patience = paths.engine_patience_s
    client = EngineClient(paths.socket(engine_service(model)), patience) if model is not None else None
    embedder = Embedder(client, f"uid {os.getuid()}") if client is not None else None
    try:
        async with site_pool(paths, passphrase_fd) as pool:
            yield Desk(paths, site, Library(pool), Retrieval(pool), embedder, pool)
    finally:
        if client is not None:
            await client.aclose()


async def swept(library: Library) -> None:
    """Write the tables anew where that is due, or say that it could not be done."""
    if not await library.sweep():
        say(f"the database's files still hold what was deleted or replaced: {TRY_AGAIN}")
