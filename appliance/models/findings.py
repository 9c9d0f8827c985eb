"""Checks as they are made, refusals as they come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.models.errors import ModelGateError
from appliance.models.verdict import Check, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.models.waiver import Waiver


@dataclass
class Findings:
    """The first refusal is the one that is raised; all checks are in the verdict."""

    checks: list[Check] = field(default_factory=list)
    refusals: list[ModelGateError] = field(default_factory=list)
    used: tuple[Waiver, ...] = ()

    def ask(self, name: str, question: Callable[[], str]) -> None:
        """Record the answer of ``question``: its text, or the refusal that it raises."""
        try:
            detail = question()
        except ModelGateError as error:
            self.checks.append(Check(name, "fail", error.cause))
            self.refusals.append(error)
        else:
            self.checks.append(Check(name, "pass", detail))

    def raise_first(self) -> None:
        """Raise the first refusal, if there is one, with the whole verdict on it."""
        if self.refusals:
            first = self.refusals[0]
            first.verdict = self.verdict
            raise first

    @property
    def verdict(self) -> Verdict:
        """All checks so far."""
        return Verdict(tuple(self.checks), self.used)
