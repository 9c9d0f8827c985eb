"""What is unusual, by three rules that anybody can follow with a pencil; each compares somebody with their own past.

- volume: on one day at least ``MANY`` requests, and more than ``TIMES`` the median of that user's earlier days
- off_hours: on one day at least ``SOME`` requests in hours of the day (UTC) in which that user made no more than one
  in ``RARELY`` of all requests before
- refusals: on one day at least ``SOME`` refusals, and more refusals than requests that were served

The first two speak only of users with ``DAYS`` earlier days of use. A day is one in the log, from its beginning, also
where a report covers a later period. Nothing here accuses: holidays, month ends and new tasks look like this too.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from appliance.audit.tally import Figures

DAYS = 5
MANY, TIMES = 20, 5
SOME, RARELY = 10, 50
MAX_UNUSUAL = 100


@dataclass(frozen=True)
class Unusual:
    """A rule that somebody's day fits: how many there were (``seen``), and what is ``usual`` for the same user."""

    day: str
    subject: str
    rule: str
    seen: int
    usual: float


@dataclass(slots=True)
class Day:
    """One user's day."""

    requests: int = 0
    refusals: int = 0
    hours: Counter[int] = field(default_factory=Counter)


@dataclass
class Habits:
    """Days of use by user."""

    by_user: dict[str, dict[str, Day]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(Day)))

    def add(self, day: str, figures: Figures) -> None:
        """What ``figures`` say of one day, or of a part of it."""
        for user, tally in figures.by_user.items():
            mine = self.by_user[user][day]
            mine.requests += tally.requests
            mine.refusals += tally.refusals
        for key, count in figures.hours.items():
            user, _, hour = key.rpartition(" ")
            if hour.isdecimal():
                self.by_user[user][day].hours[int(hour)] += count

    def unusual(self, covers: Callable[[str], bool] = lambda _day: True) -> list[Unusual]:
        """What fits a rule on the days that ``covers`` names, the latest first, ``MAX_UNUSUAL`` at most."""
        found = [one for user, days in self.by_user.items() for one in _of_user(user, days) if covers(one.day)]
        return sorted(found, key=lambda one: (one.day, one.seen, one.subject, one.rule), reverse=True)[:MAX_UNUSUAL]


def explained(one: Unusual) -> str:
    """``one`` in words."""
    seen, usual = f"{one.seen:,}", f"{one.usual:g}"
    if one.rule == "volume":
        return f"{seen} requests on one day; usual is {usual}"
    if one.rule == "off_hours":
        return f"{seen} requests at hours of the day that are not usual"
    return f"{seen} refusals on one day, beside {usual} requests"


def _of_user(user: str, days: dict[str, Day]) -> Iterator[Unusual]:
    past = _Past()
    for name in sorted(days):
        today = days[name]
        if today.refusals >= SOME and today.refusals > today.requests:
            yield Unusual(name, user, "refusals", today.refusals, today.requests)
        if past.days >= DAYS:
            usual = past.usual()
            if today.requests >= MANY and today.requests > TIMES * usual:
                yield Unusual(name, user, "volume", today.requests, usual)
            if (odd := past.off_hours(today)) >= SOME:
                yield Unusual(name, user, "off_hours", odd, 0)
        if today.requests:
            past.add(today)


class _Past:
    """The days of one user so far; what a day costs does not grow with their number."""

    def __init__(self) -> None:
        self._requests: list[int] = []
        self._hours: Counter[int] = Counter()
        self._total = 0

    @property
    def days(self) -> int:
        return len(self._requests)

    def add(self, day: Day) -> None:
        insort(self._requests, day.requests)
        self._hours.update(day.hours)
        self._total += day.hours.total()

    def usual(self) -> float:
        """The median of the requests of a day."""
        low, high = self._requests[(self.days - 1) // 2], self._requests[self.days // 2]
        return low if low == high else (low + high) / 2

    def off_hours(self, today: Day) -> int:
        """Requests of ``today`` at hours that are not usual."""
        most = self._total / RARELY
        return sum(count for hour, count in today.hours.items() if self._hours[hour] <= most)
