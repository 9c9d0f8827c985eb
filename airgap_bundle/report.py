"""What a verification found: named checks, never one boolean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from airgap_bundle.errors import VerificationError

Status = Literal["pass", "fail", "not established"]
FRESHNESS = "freshness"


@dataclass(frozen=True)
class Check:
    """One question and its answer. ``not established``: the answer rests on another check that failed."""

    name: str
    status: Status
    detail: str
    error: VerificationError | None = field(default=None, compare=False, repr=False)

    def to_json(self) -> dict[str, str]:
        """The check as plain JSON values; ``error`` is the class of a refusal (FORMAT.md, section 9)."""
        found = {"name": self.name, "status": self.status, "detail": self.detail}
        return found if self.error is None else {**found, "error": type(self.error).__name__}


@dataclass(frozen=True)
class ReleaseInfo:
    """What ``release.json`` says; only ever built from bytes whose digest was signed."""

    name: str
    version: str
    number: int
    min_release: int

    def to_json(self) -> dict[str, Any]:
        """The release as plain JSON values."""
        return {
            "name": self.name,
            "version": self.version,
            "number": self.number,
            "min_release": self.min_release,
        }


@dataclass(frozen=True)
class Report:
    """All checks in the order in which they were made.

    ``ok`` is about authenticity and completeness: it leaves freshness out, which is a verdict of its own.
    ``signers`` are the persons whose signatures on the targets count; ``waiting_for`` those who may still sign.
    """

    checks: tuple[Check, ...]
    release: ReleaseInfo | None
    signers: tuple[str, ...]
    root_fingerprint: str | None = None
    waiting_for: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every check but freshness passed."""
        return all(check.status == "pass" for check in self.checks if check.name != FRESHNESS)

    @property
    def freshness(self) -> Check | None:
        """The verdict on age and support."""
        return next((check for check in self.checks if check.name == FRESHNESS), None)

    @property
    def failure(self) -> Check | None:
        """The first failed check that bears on authenticity; the others follow from it or stand beside it."""
        return next((c for c in self.checks if c.status == "fail" and c.name != FRESHNESS), None)

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {
            "ok": self.ok,
            "release": self.release.to_json() if self.release else None,
            "signers": list(self.signers),
            "waiting_for": list(self.waiting_for),
            "root_fingerprint": self.root_fingerprint,
            "checks": [check.to_json() for check in self.checks],
        }
