"""A night over a real database, with a judge, a log and an engine that say what a test wants."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from appliance.cli.memory_night import Energy, Night, Waiting
from appliance.cli.memory_site import Desk
from appliance.gateway.brief_inputs import BriefInputs
from appliance.gateway.brief_store import BriefStore
from appliance.gateway.conversations import ConversationStore
from appliance.gateway.failures import FailureStore
from appliance.gateway.gold_cases import CaseStore
from appliance.gateway.packs import Packs
from appliance.gateway.rollout_store import RolloutStore
from appliance.learning.briefs import Judged
from appliance.site.paths import SitePaths
from tests.gateway.doubles import site

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.cli.memory_night import Stage
    from appliance.gateway.brief_values import Brief, Run
    from appliance.site.config import SiteConfig
    from appliance.site.groups import Group

KEY = b"c" * 32
PASSED = Judged(True, (), {"passed": True, "cases": 30})  # noqa: FBT003 - as the gate says
REFUSED = Judged(False, ("all is worse beyond noise",), {"passed": False, "cases": 30})  # noqa: FBT003 - as above
GROUPS: list[dict[str, Any]] = [
    {"name": "analysts", "models": ["small"], "instructions": "You are brief.", "brief": True},
    {"name": "clerks", "models": ["small"], "brief": True},
    {"name": "guards", "models": ["small"]},
]
MODELS = [{"name": "small"}, {"name": "large"}, {"name": "minilm"}]


def briefed(**changes: Any) -> SiteConfig:
    """A site two of whose groups have a brief."""
    return site(**{"groups": GROUPS, "models": MODELS, "documents": {"model": "minilm"}, **changes})


class CutOffError(Exception):
    """The process was killed here."""


@dataclass
class Bed:
    """Where nights are spent. ``killed_at``: the step before which the night is cut off."""

    pool: AsyncEngine
    folder: Path
    verdict: Judged | Waiting = PASSED
    config: SiteConfig = field(default_factory=briefed)
    entered: list[tuple[str, str, Mapping[str, Any], bool]] = field(default_factory=list)
    computed: list[tuple[str, str]] = field(default_factory=list)
    judged: list[tuple[str | None, str | None]] = field(default_factory=list)
    killed_at: str | None = None
    stage: Stage | None = None

    @property
    def desk(self) -> Desk:
        conversations = ConversationStore(self.pool, KEY)
        cases = CaseStore(self.pool, conversations)
        inputs = BriefInputs(self.pool, cases, FailureStore(self.pool, conversations))
        paths, store = SitePaths(self.folder), BriefStore(self.pool, conversations)
        return Desk(paths, self.config, store, inputs, cases, Packs(self.pool, paths.packs), RolloutStore(self.pool))

    @property
    def store(self) -> BriefStore:
        return self.desk.store

    async def night(self, group: str = "analysts", energy: Energy | None = None) -> Run:
        """One night of the group."""
        (found,) = (one for one in self.config.groups if one.name == group)
        desk, energy = self.desk, energy or Energy(1e6)
        return await Night(desk, energy, self._judge, self._enter, self._compute, self.stage).of(found)

    async def told(self, group: str = "analysts") -> list[str]:
        """The sentences that the group is told now."""
        found = await self.store.in_force(group)
        return [one.text for one in found.lines] if found is not None else []

    async def back(self, group: str = "analysts") -> Brief | None:
        """Take back what is in force."""
        found = await self.store.in_force(group)
        return await self.store.back(group, found.run.id if found is not None else uuid.uuid4())

    async def states(self, group: str = "analysts") -> list[str]:
        """Of the group's runs, the latest first."""
        return [run.state for run in await self.store.listed([group])]

    async def _judge(self, brief: Brief, before: Brief | None, group: Group) -> Judged | Waiting:
        assert group.name == brief.run.group
        self._die("judge")
        self.judged.append((before.digest if before is not None else None, brief.digest))
        return self.verdict

    async def _enter(self, action: str, target: str, figures: Mapping[str, Any], *, success: bool = True) -> None:
        self._die(f"enter {action}")
        self.entered.append((action, target, figures, success))

    async def _compute(self, group: Group, text: str) -> None:
        self._die("compute")
        self.computed.append((group.name, text))

    def _die(self, step: str) -> None:
        if self.killed_at == step:
            raise CutOffError(step)
