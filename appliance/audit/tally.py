"""A usage report as a value: tallies per day, group, model, purpose and user, and the log they were counted from."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import date

SCHEMA = 1
TOP_USERS = 10


@dataclass
class Tally:
    """What happened to one day, group, model, purpose or user. Joules are as declared by ``energy_method``."""

    requests: int = 0
    answers: int = 0
    refusals: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    joules: float = 0.0
    sign_ins: int = 0
    failed_sign_ins: int = 0
    model_loads: int = 0

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class ModelLoad:
    """One decision of the model gate."""

    time: str
    model: str
    digest: str
    accepted: bool
    reason: str
    waivers: int


@dataclass
class UsageReport:
    """The figures, and the log that they were counted from."""

    origin: str
    size: int
    root: str
    signed_at: str
    since: date | None
    until: date | None
    total: Tally = field(default_factory=Tally)
    by_day: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    by_group: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    by_model: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    by_purpose: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    by_user: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    refusal_reasons: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    energy_methods: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    model_loads: list[ModelLoad] = field(default_factory=list)
    top: int = TOP_USERS

    @property
    def top_users(self) -> list[tuple[str, Tally]]:
        """The pseudonyms with most requests, then most tokens."""
        ranked = sorted(self.by_user.items(), key=lambda u: (-u[1].requests, -u[1].tokens, u[0]))
        return ranked[: self.top]

    def as_json(self) -> dict[str, Any]:
        """The report as JSON-ready data; users beyond the top are counted, not listed."""
        return {
            "schema": SCHEMA,
            "log": {"origin": self.origin, "size": self.size, "root": self.root, "signed_at": self.signed_at},
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
            "total": _rounded(self.total),
            "by_day": {name: _rounded(tally) for name, tally in sorted(self.by_day.items())},
            "by_group": _ranked(self.by_group),
            "by_model": _ranked(self.by_model),
            "by_purpose": _ranked(self.by_purpose),
            "refusal_reasons": dict(self.refusal_reasons.most_common()),
            "outcomes": dict(self.outcomes.most_common()),
            "energy_methods": dict(self.energy_methods.most_common()),
            "kinds": dict(self.kinds.most_common()),
            "model_loads": [asdict(load) for load in self.model_loads],
            "users": len(self.by_user),
            "top_users": [{"subject": name, **_rounded(tally)} for name, tally in self.top_users],
        }


def _rounded(tally: Tally) -> dict[str, Any]:
    return asdict(tally) | {"tokens": tally.tokens, "joules": round(tally.joules, 3)}


def _ranked(tallies: dict[str, Tally]) -> dict[str, dict[str, Any]]:
    return {name: _rounded(tally) for name, tally in ranked(tallies)}


def ranked(tallies: dict[str, Tally]) -> list[tuple[str, Tally]]:
    """By requests, then refusals, most first."""
    return sorted(tallies.items(), key=lambda item: (-item[1].requests, -item[1].refusals, item[0]))
