"""The course of a benchmark: how much is asked, and what a run came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.bench.claims import Claim, tell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.learning.cases import Language


@dataclass(frozen=True)
class Scale:
    """How much of everything is asked, and what meaning counts when it is looked up (``documents.meaning``)."""

    manuals: tuple[str, ...] = ("handbook", "reference", "developers")
    languages: tuple[Language, ...] = ("en", "fr", "de")
    looked_up: int = 900
    passages: int = 50_000
    learning: int = 32
    held_out: int = 70
    turns: int = 15
    minutes_of_confidence: float = 12
    printed: bool = True
    meaning: float = 1.0


FULL = Scale()
QUICK = Scale(("developers",), ("en",), 40, 3_000, 8, 10, 4, 0.4, printed=False)


@dataclass
class Found:
    """What a run came to. ``missing``: what it did not measure, and why."""

    claims: list[Claim] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    plots: dict[str, Any] = field(default_factory=dict)

    def took(self, name: str, claims: list[Claim], figures: Mapping[str, Any] | None = None) -> None:
        """Keep a part's claims and figures."""
        self.claims += claims
        self.figures[name] = dict(figures or {})
        for claim in claims:
            tell(f"{claim.name}: {claim.value} {claim.unit} ({'holds' if claim.holds else 'DOES NOT HOLD'})")
