"""A staged rollout as its row has it, and where in it whoever asks stands. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from appliance.learning.arms import ALL, Arm

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Row

Kind = Literal["pack", "brief", "instructions", "site_instructions", "model", "adapter", "documents"]
State = Literal["running", "back", "kept"]
NOTHING = "none"
"""In the place of a pack's digest or a brief's id: the group is told none."""


@dataclass(frozen=True)
class Rollout:
    """One group on its way from ``former`` to ``change``: what its ``kind`` says, by digests; briefs by their ids.

    ``verdict`` is what was decided by itself and is not in force yet; ``figures`` the last ones.
    """

    id: uuid.UUID
    group: str
    kind: Kind
    former: str
    change: str
    stages: tuple[int, ...]
    stage: int
    state: State
    verdict: Mapping[str, Any] | None
    figures: Mapping[str, Any] | None
    begun_by: str
    created: datetime
    stage_since: datetime
    changed: datetime

    @property
    def share(self) -> int:
        """The new arm's share of people now, in percent."""
        return self.stages[self.stage]

    @property
    def last(self) -> bool:
        """Whether everybody is in the new arm."""
        return self.share >= ALL


@dataclass(frozen=True)
class Placed:
    """Whoever asks, in the rollout that runs in their group. ``person``: no program."""

    rollout: Rollout
    arm: Arm
    person: bool

    @property
    def counts(self) -> bool:
        """Whether the answer is compared: programs are in no comparison, and in the last stage all are counted."""
        return self.person or self.rollout.last

    def receipt(self) -> dict[str, str]:
        """For the receipt."""
        return {"id": str(self.rollout.id), "arm": "new" if self.arm.new else "old"}

    def entered(self) -> str:
        """For the log's entry about the answer."""
        return " ".join(self.receipt().values())


def rollout_of(row: Row[Any]) -> Rollout:
    """A row of ``rollout``."""
    said = dict(row._mapping)  # noqa: SLF001 - a row's public mapping
    return Rollout(group=said.pop("group_name"), stages=tuple(said.pop("stages")), **said)
