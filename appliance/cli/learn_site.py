"""What the commands of the loop stand on: the site's cases in its database, and its audit log."""

from __future__ import annotations

import os
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

from appliance.audit.client import SyncAuditClient
from appliance.audit.events_learning import learning_decision
from appliance.audit.roles import OPERATOR
from appliance.cli.reached import service_secret
from appliance.cli.site_database import site_pool
from appliance.gateway.conversations import ConversationStore
from appliance.gateway.failures import FailureStore
from appliance.gateway.gold_cases import CaseStore
from appliance.gateway.released_cases import ReleasedCases
from appliance.site.load import load_site
from appliance.site.paths import AUDIT, GATEWAY, SitePaths

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.site.config import SiteConfig


def actor() -> str:
    """Who acts, as the log names operators."""
    return f"uid {os.getuid()}"


def described_site(paths: SitePaths) -> SiteConfig:
    """The site that a command is about."""
    return load_site(paths.site_yaml)


def enter(  # noqa: PLR0913 - the fields of a decision, by keyword
    paths: SitePaths,
    *,
    what: Literal["evaluation", "gate", "cases", "brief", "rollout", "exchange", "calibration"],
    target: str,
    figures: Mapping[str, Any],
    action: Literal["create", "read", "update", "delete"] = "create",
    success: bool = True,
) -> None:
    """Put it into the audit log; returns once that is durable. Raises ``AuditUnavailableError``."""
    event = learning_decision(actor=actor(), what=what, target=target, figures=figures, action=action, success=success)
    with SyncAuditClient(paths.socket(AUDIT)) as audit:
        audit.append(event, id=OPERATOR.id("learning", secrets.token_hex(16)))


@asynccontextmanager
async def case_store(paths: SitePaths, passphrase_fd: int | None) -> AsyncIterator[CaseStore]:
    """The site's cases. Raises ``UnavailableError`` when the database does not answer."""
    content_key = service_secret(paths, GATEWAY, "content_key", passphrase_fd)
    async with site_database(paths, passphrase_fd) as pool:
        yield CaseStore(pool, ConversationStore(pool, content_key))


@asynccontextmanager
async def gathering(paths: SitePaths, passphrase_fd: int | None) -> AsyncIterator[tuple[CaseStore, FailureStore]]:
    """The site's cases and failures. Raises as ``case_store``."""
    content_key = service_secret(paths, GATEWAY, "content_key", passphrase_fd)
    async with site_database(paths, passphrase_fd) as pool:
        conversations = ConversationStore(pool, content_key)
        yield CaseStore(pool, conversations), FailureStore(pool, conversations)


@asynccontextmanager
async def released_cases(paths: SitePaths, passphrase_fd: int | None) -> AsyncIterator[ReleasedCases]:
    """The cases that came with releases. Raises as ``case_store``."""
    content_key = service_secret(paths, GATEWAY, "content_key", passphrase_fd)
    async with site_database(paths, passphrase_fd) as pool:
        yield ReleasedCases(pool, ConversationStore(pool, content_key))


@asynccontextmanager
async def site_database(paths: SitePaths, passphrase_fd: int | None) -> AsyncIterator[AsyncEngine]:
    """The gateway's database. Raises ``UnavailableError`` when it does not answer."""
    async with site_pool(paths, passphrase_fd) as pool:
        yield pool
