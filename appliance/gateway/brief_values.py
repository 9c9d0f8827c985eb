"""Nights and briefs as values: a run as its row has it, and with it what of its lines stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.gateway.errors import ConflictError
from appliance.memory.briefs import digest, rendered

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Row

    from appliance.memory.briefs import Line, State

ACCEPTABLE = frozenset({"compiled", "judged", "refused"})
"""States of a brief that waits for somebody's word, or for the gate's."""


@dataclass(frozen=True)
class Run:
    """A night's work for one group. ``against``: the brief that was in force when it was begun to be judged."""

    id: uuid.UUID
    group: str
    state: State
    inputs: str | None
    against: uuid.UUID | None
    cause: str | None
    figures: Mapping[str, Any] | None
    joules: float
    created: datetime
    changed: datetime


@dataclass(frozen=True)
class Brief:
    """A run with what of it stands now."""

    run: Run
    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        """As the model is told."""
        return rendered(self.lines)

    @property
    def digest(self) -> str | None:
        """As receipts name it; None where nothing stands any more."""
        return digest(self.text) if self.lines else None


def check_acceptable(run: Run) -> None:
    """Raises ``ConflictError`` for a run that nobody can accept: it is in force, or was replaced, or is empty."""
    if run.state not in ACCEPTABLE:
        state = run.state.replace("_", " ")
        raise ConflictError(f"the brief is {state}", "`memory brief list` shows those that wait")


def run_of(row: Row[Any]) -> Run:
    """A row of ``brief``."""
    said = dict(row._mapping)  # noqa: SLF001 - a row's public mapping
    return Run(group=said.pop("group_name"), **said)
