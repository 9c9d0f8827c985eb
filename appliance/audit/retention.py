"""How old entries are by the log's own word, and which may go: none before six months. Pure.

A clock can be set. What moves the log's own time are its entries: runs of 32, each with the median of their times, so
that a few that lie about it move nothing. From run to run time advances by four days at most, however far a clock was
turned; it never runs back, and times that jump back and forth count once: from the latest that there ever was. A log
that rests for longer ages more slowly, and keeps its entries for longer; so does one whose clock was far ahead for a
while, until it is as late again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

LEAST_DAYS = 184
"""Six months, the longest there are. No policy makes it less."""
RUN = 32
DAY_MS = 86_400_000
_LONGEST_STEP_MS = 4 * DAY_MS
_TIME = re.compile(rb'"time":([0-9]{1,15})[,}]')


@dataclass
class LogTime:
    """Time as entries tell it, fed with them in order: milliseconds that passed since the first run."""

    passed: int = 0
    latest: int | None = None
    """The highest median of a full run so far, in milliseconds since 1970."""
    _run: list[int | None] = field(default_factory=list)

    def tick(self, entry: bytes) -> None:
        """One entry more. What tells no time takes its place in a run all the same."""
        self._run.append(_told(entry))
        if len(self._run) == RUN:
            told = sorted(one for one in self._run if one is not None)
            self._run.clear()
            if told:
                self._step(told[len(told) // 2])

    def _step(self, median: int) -> None:
        if self.latest is not None:
            self.passed += min(max(median - self.latest, 0), _LONGEST_STEP_MS)
        self.latest = max(median, self.latest or 0)


@dataclass(frozen=True)
class Prunable:
    """Entries before ``end`` that may go (a whole number of bundles), and when the last of them were logged."""

    end: int
    until: int | None = None
    """Milliseconds since 1970; None where there are none."""


def require_days(days: int) -> int:
    """The days that a policy keeps entries, at least those that no policy shortens."""
    return max(days, LEAST_DAYS)


@dataclass
class Ages:
    """Which entries are old enough to go, of a log whose bundles are told in order, from the first that is there."""

    time: LogTime = field(default_factory=LogTime)
    _ends: list[tuple[int, int, int]] = field(default_factory=list)

    def tell(self, first: int, entries: list[bytes]) -> None:
        """A bundle: the position of its first entry, and its entries."""
        until = self.time.latest
        for entry in entries[:RUN]:
            self.time.tick(entry)
        if until is not None and len(entries) >= RUN:
            self._ends.append((first, until, self.time.passed))
        for entry in entries[RUN:]:
            self.time.tick(entry)

    def prunable(self, *, days: int, now: int, limit: int | None = None) -> Prunable:
        """What, up to ``limit``, is older than ``days`` by the log's own time and by the clock's ``now``, in ms.

        Age counts from the first run behind the entries: whoever has only what is left can measure it again.
        """
        least, passed = require_days(days) * DAY_MS, self.time.passed
        asked = self._ends if limit is None else [one for one in self._ends if one[0] <= limit]
        old = [(end, until) for end, until, at in asked if passed - at >= least and now - until >= least]
        return Prunable(*old[-1]) if old else Prunable(0)


def _told(entry: bytes) -> int | None:
    """When an entry says it was: the last ``time`` that is spelled in it as ours is. No text can hold these bytes."""
    found = _TIME.match(entry, entry.rfind(b'"time":'))
    return int(found[1]) if found else None
