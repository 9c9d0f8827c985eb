"""What the gate found: named checks, never one boolean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from appliance.models.waiver import Waiver

_SHOWN = 120
Status = Literal["pass", "fail", "waived", "not required", "not established"]
_OPEN = frozenset({"pass", "waived", "not required"})


def shown(text: str) -> str:
    """``text`` of a record or statement, short and without a character that could steer a terminal."""
    return text[:_SHOWN] if text.isprintable() else ascii(text[:_SHOWN])


@dataclass(frozen=True)
class Check:
    """One question and its answer. ``not established``: it could not be asked, because an earlier one failed."""

    name: str
    status: Status
    detail: str

    def to_json(self) -> dict[str, str]:
        """The check as plain JSON values."""
        return {"name": self.name, "status": self.status, "detail": self.detail}


@dataclass(frozen=True)
class Verdict:
    """All checks in order, and the waivers that the result rests on."""

    checks: tuple[Check, ...]
    waivers_used: tuple[Waiver, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the model may be loaded."""
        return bool(self.checks) and all(check.status in _OPEN for check in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that keep the gate shut."""
        return tuple(check for check in self.checks if check.status not in _OPEN)

    def to_json(self) -> dict[str, Any]:
        """The verdict as plain JSON values."""
        return {
            "ok": self.ok,
            "checks": [check.to_json() for check in self.checks],
            "waivers": [waiver.to_receipt() for waiver in self.waivers_used],
        }
