"""What the commands on briefs stand on: the site's database, and its audit log."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.cli.learn_site import described_site
from appliance.cli.reached import service_secret
from appliance.cli.site_database import site_pool
from appliance.errors import UsageError
from appliance.gateway.brief_inputs import BriefInputs
from appliance.gateway.brief_store import BriefStore
from appliance.gateway.conversations import ConversationStore
from appliance.gateway.failures import FailureStore
from appliance.gateway.gold_cases import CaseStore
from appliance.gateway.packs import Packs
from appliance.gateway.rollout_store import RolloutStore
from appliance.site.paths import GATEWAY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from appliance.site.config import SiteConfig
    from appliance.site.groups import Group
    from appliance.site.paths import SitePaths


@dataclass(frozen=True)
class Desk:
    """Briefs, and what they are made of."""

    paths: SitePaths
    site: SiteConfig
    store: BriefStore
    inputs: BriefInputs
    cases: CaseStore
    packs: Packs
    rollouts: RolloutStore


@asynccontextmanager
async def desk(paths: SitePaths, passphrase_fd: int | None) -> AsyncIterator[Desk]:
    """All of it, open. Raises ``UnavailableError`` when the database does not answer."""
    site = described_site(paths)
    content_key = service_secret(paths, GATEWAY, "content_key", passphrase_fd)
    async with site_pool(paths, passphrase_fd) as pool:
        conversations = ConversationStore(pool, content_key)
        cases = CaseStore(pool, conversations)
        inputs = BriefInputs(pool, cases, FailureStore(pool, conversations))
        briefs, packs = BriefStore(pool, conversations), Packs(pool, paths.packs)
        yield Desk(paths, site, briefs, inputs, cases, packs, RolloutStore(pool))


def briefed(site: SiteConfig, named: Sequence[str] = ()) -> tuple[Group, ...]:
    """Groups that site.yaml gives a brief, or those ``named`` of them. Raises ``UsageError``."""
    having = [group for group in site.groups if group.brief]
    if unknown := [name for name in named if name not in {group.name for group in having}]:
        raise UsageError(f"{unknown[0]} is no group that has a brief", "give it `brief: true` in site.yaml")
    if not having:
        raise UsageError("no group of this site has a brief", "give one `brief: true` in site.yaml")
    return tuple(group for group in having if not named or group.name in named)
