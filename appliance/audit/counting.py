"""Counting events. Entries were verified, not validated: whatever shape one has, it must not break or skew a report.

What an entry of each kind adds is in ``tallying``; here entries are read, and calls that are alike are found.
"""

from __future__ import annotations

import json
from sys import intern
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from appliance.audit.tallying import (
    CALLS,
    DAY_MS,
    HOUR_MS,
    OTHERS,
    REQUEST,
    day_of,
    look_up,
    object_of,
    plausible,
    text_of,
)

if TYPE_CHECKING:
    from appliance.audit.tally import Figures, Tally

_FOREIGN = "(foreign)"
_NO_DAY = ""


class _Alike:
    """Calls of one day, model, purpose, user and groups. Requests are most of them: counted here, added up later."""

    __slots__ = ("figures", "hours", "tallies", "uid")

    def __init__(self, figures: Figures, tallies: tuple[Tally, ...], uid: str) -> None:
        self.figures = figures
        self.tallies = tallies
        self.uid = uid
        self.hours: dict[int, int] = {}
        """Requests by the hour of the day that are not added up yet."""

    def add_up(self) -> None:
        """All requests so far are in the figures, those of nobody in no hour."""
        for hour, count in self.hours.items():
            self.figures.kinds[REQUEST] += count
            for tally in self.tallies:
                tally.requests += count
            if self.uid:  # one text for all days: names are most of the memory
                self.figures.hours[intern(f"{self.uid} {hour:02d}")] += count
        self.hours.clear()


class Counting:
    """Adds entries to the figures of their ``days``, which are whole after ``finish``.

    What a call adds to is looked up once for all that are alike.
    """

    def __init__(self, days: dict[str, Figures]) -> None:
        self.days = days
        self._alike: dict[tuple[Any, ...], _Alike] = {}

    def add(self, entry: bytes) -> None:
        """One entry more. Foreign and malformed ones are counted as such.

        An entry counts on its day (ISO, UTC); what is no object at all has none, and counts under the empty one.
        """
        try:
            event = from_json(entry, cache_strings="keys")
        except ValueError:
            event = _otherwise(entry)
        try:  # what a call looks like that our gateway logged; whatever looks otherwise is counted below
            ours, user, time = event["unmapped"]["sovereign"], event["actor"]["user"], event["time"]
            names = [group["name"] for group in user["groups"]]
            key = (time // DAY_MS, event["ai_model"]["name"], ours.get("purpose"), user["uid"], *names)
            alike = self._alike.get(key) or self._new(key, event, ours)
            kind = ours["kind"]
        except (KeyError, TypeError, AttributeError):
            alike = None
        if alike is None or type(time) is not int or type(kind) is not str or kind not in CALLS:
            self._add_any(event)
        elif kind == REQUEST:
            hour = time % DAY_MS // HOUR_MS
            alike.hours[hour] = alike.hours.get(hour, 0) + 1
        else:
            alike.figures.kinds[kind] += 1
            CALLS[kind](alike.figures, alike.tallies, event, ours)

    def finish(self) -> None:
        """Everything that was added is in the figures. More may be added, and finished again."""
        for alike in self._alike.values():
            alike.add_up()

    def _new(self, key: tuple[Any, ...], event: dict[str, Any], ours: dict[str, Any]) -> _Alike | None:
        """What calls with this ``key`` add to; None where it does not say all of it."""
        time, model, uid = event["time"], key[1], key[3]
        if type(time) is not int or time != plausible(time) or not isinstance(model, str) or not model:
            return None
        if ours.get("kind") not in CALLS or not isinstance(uid, str):
            return None
        figures = self.days[day_of(time)]
        made = self._alike[key] = _Alike(figures, tuple(look_up(figures, event, ours)), uid)
        return made

    def _add_any(self, event: Any) -> None:
        if not isinstance(event, dict):
            self.days[_NO_DAY].kinds[_FOREIGN] += 1
            return
        figures = self.days[day_of(event.get("time"))]
        ours = object_of(object_of(event, "unmapped"), "sovereign")
        kind = text_of(ours, "kind") or _FOREIGN
        figures.kinds[kind] += 1
        if kind in CALLS:
            tallies = tuple(look_up(figures, event, ours))
            CALLS[kind](figures, tallies, event, ours)
        elif kind in OTHERS:
            OTHERS[kind](figures, event, ours)


def _otherwise(entry: bytes) -> Any:
    """What ``entry`` says; None when it is no JSON. The quicker parser refuses some that is."""
    try:
        return json.loads(entry)
    except (ValueError, RecursionError):  # the second: of an entry that somebody edited
        return None
