"""Checks as they are made: each rests on others, and what rests on a failed one is not established, never guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle.errors import FormatError, MalformedError, VerificationError
from airgap_bundle.report import FRESHNESS, Check

if TYPE_CHECKING:
    from collections.abc import Callable


class Checks:
    """The checks of one verification, in the order in which they were made."""

    def __init__(self) -> None:
        self._made: dict[str, Check] = {}

    def make(self, name: str, needs: tuple[str, ...], body: Callable[[], str]) -> None:
        """Check ``name``: ``body`` says what it found, or refuses by raising. Not made unless all of ``needs`` passed.

        A ``FormatError`` of a parser is a refusal here, of class ``MalformedError``. Anything else that ``body`` raises
        is no verdict and goes through.
        """
        missing = next((need for need in needs if not self.passed(need)), None)
        if missing is not None:
            self.put(Check(name, "not established", f"rests on: {missing}"))
            return
        try:
            self.put(Check(name, "pass", body()))
        except FormatError as error:
            self.put(Check(name, "fail", error.cause, MalformedError(error.cause, error.hint)))
        except VerificationError as error:
            self.put(Check(name, "fail", error.cause, error))

    def put(self, check: Check) -> None:
        """Keep a check that was made elsewhere."""
        self._made[check.name] = check

    def passed(self, name: str) -> bool:
        """Whether ``name`` was made, and passed."""
        return name in self._made and self._made[name].status == "pass"

    @property
    def ordered(self) -> tuple[Check, ...]:
        """All of them; freshness, on which nothing rests, last."""
        return tuple(sorted(self._made.values(), key=lambda check: check.name == FRESHNESS))
