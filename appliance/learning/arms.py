"""Who of a group is answered under a change while it is rolled out. Pure.

Each person has a place in [0, 1) that is theirs for one rollout: a keyed hash of their pseudonym and the rollout's id.
They are in the new arm while their place lies below the share of the stage. So the same person is always in the same
arm, nobody leaves the new arm as the share grows, two rollouts draw independently, and who does not know the site's key
can neither compute their place nor choose it. Programs have no place: they stay in the old arm until it is everybody's
turn.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

ALL = 100
_PURPOSE = b"sovereign/rollout/v1\n"
_BITS = 53
"""Of the hash: as many as a float holds exactly."""


@dataclass(frozen=True)
class Arm:
    """Which arm. ``drawn``: the stage decided that, and no earlier one: who was in the new arm before was not drawn."""

    new: bool
    drawn: bool


def place(key: bytes, rollout: uuid.UUID, subject: str) -> float:
    """Where in [0, 1) the person ``subject`` stands in ``rollout``; ``key`` is the site's."""
    raw = hmac.new(key, _PURPOSE + rollout.bytes + subject.encode(), hashlib.sha256).digest()
    return (int.from_bytes(raw[:8]) >> (64 - _BITS)) / (1 << _BITS)


def arm(where: float | None, stages: Sequence[int], stage: int) -> Arm:
    """The arm of whoever stands at ``where`` (None: a program) at the ``stage``-th of ``stages``, shares in percent."""
    if stages[stage] >= ALL:
        return Arm(new=True, drawn=False)  # nobody is left to compare with
    if where is None:
        return Arm(new=False, drawn=False)
    return Arm(new=where < stages[stage] / ALL, drawn=where >= _before(stages, stage))


def chance(stages: Sequence[int], stage: int) -> float:
    """How likely whoever is drawn at this stage comes into the new arm; 1 where everybody is in it."""
    before = _before(stages, stage)
    return (stages[stage] / ALL - before) / (1 - before)


def _before(stages: Sequence[int], stage: int) -> float:
    return stages[stage - 1] / ALL if stage else 0.0
