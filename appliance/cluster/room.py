"""What a change of the assistant's pods will be, by what hosts have free now: without a pause, or with one, and why.

The run that brings the change looks again (role `assistant`, `room.yml`), for the pods of then; this is for a plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from appliance.cluster.events import Reading
from appliance.cluster.playbook import run
from appliance.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.cluster.events import Event
    from appliance.cluster.standing import Standing

_SECONDS = 120
_LONGEST = 2000  # characters of a reason: hosts by name, and what they lack


@dataclass(frozen=True)
class NextPod:
    """``first``: the next pod comes before the former goes, so that nobody waits; None where no host could say."""

    first: bool | None
    why: str

    def data(self) -> dict[str, object]:
        """As JSON data."""
        return {"next_first": self.first, "why": self.why}

    def told(self) -> str:
        """As a line of a plan."""
        if self.first is None:
            return f"whether a host has room for the assistant's next pod beside the former one is unknown: {self.why}"
        if self.first:
            return f"the assistant's next pod comes before the former goes, and nobody waits: {self.why}"
        return f"the assistant's former pod goes before the next comes, and nobody is answered until then: {self.why}"


class _Said(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")
    surge: int = Field(ge=0, le=1)
    why: str = Field(max_length=_LONGEST)


def next_pod(known: Standing, *, together: bool, enter: Sequence[str] = ()) -> NextPod:
    """Ask the first host of the control plane; nothing is changed.

    ``together``: whether pods of the former and of the next release can serve from one database.
    """
    if not together:
        return NextPod(first=False, why="the former release cannot read the newer one's database")
    found: list[NextPod] = []

    def watch(event: Event) -> None:
        if isinstance(event, Reading):
            found.append(_checked(event.value))

    try:
        run("room.yml", known.inventory(room_together=True), watch, enter=enter, timeout_s=_SECONDS)
    except DeploymentError as error:
        return NextPod(first=None, why=error.cause)
    return found[0] if found else NextPod(first=None, why="the control plane said nothing")


def _checked(value: object) -> NextPod:
    """A host may be somebody else's by now: what it says is a reason in plain characters, or nothing."""
    try:
        said = _Said.model_validate(value)
    except ValidationError:
        return NextPod(first=None, why="what the control plane said cannot be read")
    return NextPod(first=said.surge == 1, why="".join(c if c.isprintable() else "?" for c in said.why))
