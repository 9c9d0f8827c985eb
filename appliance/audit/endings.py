"""How answers ended: those that broke off first, then those that were whole, each with its share of all. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_WHOLE = {"stop": "whole", "length": "cut at the length allowed"}
_BROKEN_OFF = {
    "error": "the engine refused it, or broke off",
    "interrupted": "the service stopped, or it took too long",
    "cancelled": "stopped by whoever had asked",
}
WORDS = _BROKEN_OFF | _WHOLE


@dataclass(frozen=True)
class Ending:
    """``count`` answers ended so, ``share`` of all; ``failed``: they are not what was asked for, whoever's doing."""

    outcome: str
    count: int
    share: float
    failed: bool

    @property
    def words(self) -> str:
        """What the outcome means; empty of one that no gateway of ours writes."""
        return WORDS.get(self.outcome, "")


def endings(outcomes: Mapping[str, int]) -> list[Ending]:
    """What broke off first, the most frequent of each first. An outcome that is not known counts as broken off."""
    total = sum(outcomes.values())
    found = [Ending(name, count, count / total, name not in _WHOLE) for name, count in outcomes.items() if count]
    return sorted(found, key=lambda one: (not one.failed, -one.count, one.outcome))
