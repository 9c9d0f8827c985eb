"""A usage report as a value: tallies per day, group, model, purpose, user, and user with model; and their log.

Figures of parts of a log add up: floats included, when they are added in the same order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, astuple, dataclass, field
from functools import cached_property
from sys import intern
from typing import TYPE_CHECKING, Any

from appliance.audit.endings import endings
from appliance.audit.habits import Habits, Unusual

if TYPE_CHECKING:
    from datetime import date

SCHEMA = 1
TOP_USERS = 10
MAX_LOADS = 200
MAX_DOCUMENTS = 100
MODELS_OF_A_USER = 5
"""Rows of one user in what tells users and models together."""
PAIR = "\x1f"
"""Between a user and a model in one name."""


@dataclass(slots=True)
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

    def add(self, other: Tally) -> None:
        """What happened there happened here too."""
        self.requests += other.requests
        self.answers += other.answers
        self.refusals += other.refusals
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.joules += other.joules
        self.sign_ins += other.sign_ins
        self.failed_sign_ins += other.failed_sign_ins
        self.model_loads += other.model_loads

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
class Figures:
    """What entries of one day, or of many, add up to."""

    total: Tally = field(default_factory=Tally)
    by_group: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    by_model: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    by_purpose: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    by_user: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    by_user_model: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    """By user and model, with ``PAIR`` between them."""
    refusal_reasons: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    energy_methods: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    documents: Counter[str] = field(default_factory=Counter)
    """Answers that rested on each document."""
    hours: Counter[str] = field(default_factory=Counter)
    """Requests by user and hour of the day: ``USER HH``."""
    model_loads: list[ModelLoad] = field(default_factory=list)

    def add(self, other: Figures) -> None:
        """Those of ``other`` too; its model loads come after these."""
        self.total.add(other.total)
        for mine, theirs in self._tallies(other):
            for name, tally in theirs.items():
                mine[name].add(tally)
        for name in _COUNTERS:
            getattr(self, name).update(getattr(other, name))
        self.model_loads += other.model_loads[: MAX_LOADS - len(self.model_loads)]

    def _tallies(self, other: Figures) -> list[tuple[dict[str, Tally], dict[str, Tally]]]:
        return [(getattr(self, name), getattr(other, name)) for name in _TALLIES]

    def plain(self) -> list[Any]:
        """As JSON-ready data, in a fixed order of fields."""
        return [
            astuple(self.total),
            *({key: astuple(tally) for key, tally in getattr(self, name).items()} for name in _TALLIES),
            *(dict(getattr(self, name)) for name in _COUNTERS),
            [astuple(load) for load in self.model_loads],
        ]

    @classmethod
    def of_plain(cls, value: list[Any]) -> Figures:
        """From what ``plain`` gave."""
        found = cls(total=Tally(*value[0]))
        at = 1
        for name in _TALLIES:
            getattr(found, name).update({intern(key): Tally(*tally) for key, tally in value[at].items()})
            at += 1
        for name in _COUNTERS:
            getattr(found, name).update({intern(key): number for key, number in value[at].items()})
            at += 1
        found.model_loads = [ModelLoad(*load) for load in value[at]]
        return found


_TALLIES = ("by_group", "by_model", "by_purpose", "by_user", "by_user_model")
_COUNTERS = ("refusal_reasons", "outcomes", "energy_methods", "kinds", "documents", "hours")


@dataclass
class UsageReport(Figures):
    """The figures, by day too, and the log that they were counted from."""

    origin: str = ""
    size: int = 0
    root: str = ""
    signed_at: str = ""
    since: date | None = None
    until: date | None = None
    by_day: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    top: int = TOP_USERS
    habits: Habits = field(default_factory=Habits)
    """What users did on every day of the log, also before the period."""
    pruned: int = 0
    """Entries that are not in these figures: they were pruned before anybody here counted them."""

    def add_day(self, day: str, figures: Figures) -> None:
        """Figures of one day (ISO; empty: of entries that say of none), if it is in the period."""
        if day:
            self.habits.add(day, figures)
            self.__dict__.pop("unusual", None)
            if not self._covers(day):
                return
        self.add(figures)
        if figures.total != Tally():
            self.by_day[day].add(figures.total)

    def _covers(self, day: str) -> bool:
        return (not self.since or self.since.isoformat() <= day) and (not self.until or day <= self.until.isoformat())

    @cached_property
    def unusual(self) -> list[Unusual]:
        """What stands out in the period, by the rules of ``habits``; worked out once until a day is added."""
        return self.habits.unusual(self._covers)

    @property
    def top_users(self) -> list[tuple[str, Tally]]:
        """The pseudonyms with most requests, then most tokens."""
        by_use = sorted(self.by_user.items(), key=lambda u: (-u[1].requests, -u[1].tokens, u[0]))
        return by_use[: self.top]

    @property
    def top_failing(self) -> list[tuple[str, Tally]]:
        """The pseudonyms whose sign-ins failed most often; nobody who never failed."""
        failing = [(name, tally) for name, tally in self.by_user.items() if tally.failed_sign_ins]
        return sorted(failing, key=lambda user: (-user[1].failed_sign_ins, user[0]))[: self.top]

    @property
    def top_pairs(self) -> list[tuple[str, str, Tally]]:
        """Each of the top users with the models that they used most, ``MODELS_OF_A_USER`` at most."""
        models: dict[str, dict[str, Tally]] = {subject: {} for subject, _ in self.top_users}
        for pair, tally in self.by_user_model.items():
            subject, _, model = pair.partition(PAIR)
            if subject in models:
                models[subject][model] = tally
        return [
            (subject, model, tally)
            for subject, used in models.items()
            for model, tally in ranked(used)[:MODELS_OF_A_USER]
        ]

    def as_json(self) -> dict[str, Any]:
        """The report as JSON-ready data; users beyond the top are counted, not listed."""
        return {
            "schema": SCHEMA,
            "log": {"origin": self.origin, "size": self.size, "root": self.root, "signed_at": self.signed_at},
            "pruned": self.pruned,
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
            "total": _rounded(self.total),
            "by_day": {name: _rounded(tally) for name, tally in sorted(self.by_day.items())},
            "by_group": _ranked(self.by_group),
            "by_model": _ranked(self.by_model),
            "by_purpose": _ranked(self.by_purpose),
            "refusal_reasons": dict(self.refusal_reasons.most_common()),
            "outcomes": {one.outcome: one.count for one in endings(self.outcomes)},
            "energy_methods": dict(self.energy_methods.most_common()),
            "kinds": dict(self.kinds.most_common()),
            "documents": dict(self.documents.most_common(MAX_DOCUMENTS)),
            "unusual": [asdict(one) for one in self.unusual],
            "model_loads": [asdict(load) for load in self.model_loads],
            "users": len(self.by_user),
            "top_users": [{"subject": name, **_rounded(tally)} for name, tally in self.top_users],
            "top_users_by_model": [
                {"subject": name, "model": model, **_rounded(tally)} for name, model, tally in self.top_pairs
            ],
            "top_failed_sign_ins": [
                {"subject": name, "failed_sign_ins": tally.failed_sign_ins, "sign_ins": tally.sign_ins}
                for name, tally in self.top_failing
            ],
        }


def _rounded(tally: Tally) -> dict[str, Any]:
    return asdict(tally) | {"tokens": tally.tokens, "joules": round(tally.joules, 3)}


def _ranked(tallies: dict[str, Tally]) -> dict[str, dict[str, Any]]:
    return {name: _rounded(tally) for name, tally in ranked(tallies)}


def ranked(tallies: dict[str, Tally]) -> list[tuple[str, Tally]]:
    """By requests, then refusals, most first."""
    return sorted(tallies.items(), key=lambda item: (-item[1].requests, -item[1].refusals, item[0]))
