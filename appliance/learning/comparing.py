"""What the answers of a rollout's stage say: each arm in figures, one observation a person, and what follows. Pure.

A person is observed once a stage, on the first answers that they were given in it, once those are old enough to have
been marked; somebody who asks seldom is observed on fewer, a day after the first. An answer went badly if it failed,
was asked for again soon, was left before its end, or was marked down. That an answer declined is shown and not judged:
boundaries are there to make it so.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from appliance.learning.arms import ALL, chance
from appliance.learning.evidence import Evidence, Observation, evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

SELDOM = timedelta(days=1)
FAILED = frozenset({"error", "refused"})
"""Outcomes that are nobody's wish; an answer that a gateway's end interrupted is none."""
_Z = 1.96


@dataclass(frozen=True)
class Bounds:
    """What a site sets (``site.rolling.Rollout``)."""

    alpha: float = 0.05
    people: int = 5
    answers: int = 50
    hours: float = 24.0
    of_person: int = 5
    settle_minutes: float = 10.0
    errors: int = 5
    of_last: int = 20


@dataclass(frozen=True)
class Counted:
    """One answer of the stage, without a word of it."""

    new: bool
    drawn: bool
    subject: str
    at: datetime
    outcome: str
    first_token_s: float | None
    seconds: float
    tokens: int
    joules: float
    repeated: bool = False
    abandoned: bool = False
    declined: bool = False
    verdict: str | None = None
    marked: datetime | None = None

    @property
    def failed(self) -> bool:
        """Whether there was no answer, or none to its end, and the person is not why."""
        return self.outcome in FAILED

    def bad(self, until: datetime) -> bool:
        """Whether it went badly, by what was said of it ``until`` then."""
        down = self.verdict == "down" and self.marked is not None and self.marked <= until
        return self.failed or self.repeated or self.abandoned or down


@dataclass(frozen=True)
class Told:
    """One arm in figures; ``bad`` with the interval of Wilson (1927), as if all answers were independent of others."""

    people: int
    answers: int
    bad: int
    lower: float
    upper: float
    up: int
    down: int
    repeated: int
    abandoned: int
    declined: int
    failed: int
    first_token_s: float
    seconds: float
    tokens: float
    joules: float


@dataclass(frozen=True)
class Comparison:
    """A stage so far. ``threshold``: where ``evidence.most`` is harm; ``back``: why the change goes back, if it does.

    ``enough``: people and answers suffice to go on; that none fared worse beyond noise does not prove that none did.
    """

    new: Told
    old: Told
    evidence: Evidence
    threshold: float
    enough: bool
    back: str | None


def compared(rows: Sequence[Counted], stages: Sequence[int], stage: int, bounds: Bounds, now: datetime) -> Comparison:
    """What ``rows``, answers of the stage in the order of time, come to."""
    p = chance(stages, stage)
    found = evidence(observed(rows, bounds, now), p) if p < 1 else evidence((), 1.0)
    comparing = sum(share < ALL for share in stages)  # stages share alpha between them
    threshold = max(1, comparing) / bounds.alpha
    new, old = (told([row for row in rows if row.new is arm]) for arm in (True, False))
    back = None
    if found.most >= threshold:
        back = (
            f"people of the new arm fare worse beyond noise: {found.bad_new:.3f} of their answers went badly and "
            f"{found.bad_old:.3f} of others', evidence {found.most:.1f} of {threshold:.1f}"
        )
    elif (failures := failing(rows, bounds)) is not None:
        back = f"{failures} of the new arm's last {bounds.of_last} answers failed"
    counted = found.new if p < 1 else new.people
    enough = counted >= bounds.people and new.answers >= bounds.answers
    return Comparison(new, old, found, threshold, enough, back)


def observed(rows: Iterable[Counted], bounds: Bounds, now: datetime) -> list[Observation]:
    """One observation for each person whom the stage drew, in the order in which they were complete."""
    by_person: dict[str, list[Counted]] = {}
    for row in rows:
        if row.drawn:
            by_person.setdefault(row.subject, []).append(row)
    settle = timedelta(minutes=bounds.settle_minutes)
    complete: list[tuple[datetime, str, Observation]] = []
    for subject, answers in by_person.items():
        late = answers[0].at + max(SELDOM, settle)
        full = len(answers) >= bounds.of_person
        until = min(late, answers[bounds.of_person - 1].at + settle) if full else late
        if until > now:
            continue
        first = [one for one in answers[: bounds.of_person] if one.at <= until]
        bad = sum(one.bad(until) for one in first) / len(first)
        complete.append((until, subject, Observation(answers[0].new, bad)))
    return [one for _, _, one in sorted(complete, key=lambda found: found[:2])]


def failing(rows: Sequence[Counted], bounds: Bounds) -> int | None:
    """How many of the new arm's last answers failed, where that is too many and the old arm's did not fail as well.

    The old arm is looked at from the first of those failures to the last: it has many more answers, so after an engine
    that stood still its last ones are good again while the new arm's few still say that they failed.
    """
    failed = [row.at for row in [row for row in rows if row.new][-bounds.of_last :] if row.failed]
    if len(failed) < bounds.errors:
        return None
    old = [row.failed for row in rows if not row.new and failed[0] <= row.at <= failed[-1]]
    old_too = bool(old) and sum(old) * bounds.of_last >= bounds.errors * len(old)
    return None if old_too else len(failed)


def told(rows: Sequence[Counted]) -> Told:
    """The figures of ``rows``; costs are means over answers that did not fail."""
    whole = [row for row in rows if not row.failed]
    bad = sum(row.bad(row.marked or row.at) for row in rows)
    lower, upper = _interval(bad, len(rows))
    return Told(
        people=len({row.subject for row in rows}),
        answers=len(rows),
        bad=bad,
        lower=lower,
        upper=upper,
        up=sum(row.verdict == "up" for row in rows),
        down=sum(row.verdict == "down" for row in rows),
        repeated=sum(row.repeated for row in rows),
        abandoned=sum(row.abandoned for row in rows),
        declined=sum(row.declined for row in rows),
        failed=sum(row.failed for row in rows),
        first_token_s=_mean([row.first_token_s for row in whole if row.first_token_s is not None]),
        seconds=_mean([row.seconds for row in whole]),
        tokens=_mean([float(row.tokens) for row in whole]),
        joules=_mean([row.joules for row in whole]),
    )


def figures(found: Comparison) -> dict[str, Any]:
    """For the log and the rollout's row: numbers, and each arm's as texts, since an entry's figures are bounded."""
    return {
        "new": [f"{name} {_rounded(value)}" for name, value in asdict(found.new).items()],
        "old": [f"{name} {_rounded(value)}" for name, value in asdict(found.old).items()],
        "observed_new": found.evidence.new,
        "observed_old": found.evidence.old,
        "evidence": round(min(found.evidence.most, 1e9), 3),
        "threshold": round(found.threshold, 3),
        "enough": found.enough,
    }


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else round(value, 4)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0


def _interval(bad: int, answers: int) -> tuple[float, float]:
    if not answers:
        return 0.0, 1.0
    share, z2 = bad / answers, _Z * _Z / answers
    middle = (share + z2 / 2) / (1 + z2)
    half = _Z * math.sqrt(share * (1 - share) / answers + z2 / (4 * answers)) / (1 + z2)
    return max(0.0, middle - half), min(1.0, middle + half)
