"""Counting events. Entries were verified, not validated: whatever shape one has, it must not break or skew a report.

What an entry of each kind adds is in ``tallying``; here entries are read, and calls that are alike are found.
"""

from __future__ import annotations

import json
from sys import intern
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from appliance.audit.tallying import (
    ANSWER,
    CALLS,
    DAY_MS,
    HOUR_MS,
    MAX_PLAUSIBLE,
    OTHERS,
    REQUEST,
    day_of,
    documents_of,
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
    """Calls of one day, model, purpose, user and groups. What is counted in whole numbers is added up later."""

    __slots__ = ("answers", "completion", "figures", "hours", "prompt", "tallies", "uid")

    def __init__(self, figures: Figures, tallies: tuple[Tally, ...], uid: str) -> None:
        self.figures = figures
        self.tallies = tallies
        self.uid = uid
        self.hours: dict[int, int] = {}
        """Requests by the hour of the day that are not added up yet."""
        self.answers = self.prompt = self.completion = 0
        """Answers and their tokens that are not added up yet."""

    def answered(self, event: dict[str, Any], ours: dict[str, Any]) -> bool:
        """Count an answer as ``tallying`` does, if it says all that our gateway's do; else False, and nothing is done.

        Joules are added at once: sums of them depend on their order.
        """
        try:
            context = event["message_context"]
            prompt, completion, joules = context["prompt_tokens"], context["completion_tokens"], ours["joules"]
            outcome, method = ours["outcome"], ours["energy_method"]
        except (KeyError, TypeError):
            return False
        if not (
            type(prompt) is type(completion) is int
            and type(joules) is float
            and type(outcome) is type(method) is str
            and outcome
            and method
            and 0 <= prompt <= MAX_PLAUSIBLE
            and 0 <= completion <= MAX_PLAUSIBLE
            and 0 <= joules <= MAX_PLAUSIBLE
        ):
            return False
        figures = self.figures
        self.answers += 1
        self.prompt += prompt
        self.completion += completion
        for tally in self.tallies:
            tally.joules += joules
        figures.outcomes[outcome] += 1
        figures.energy_methods[method] += 1
        if "documents" in ours:
            counted = figures.documents
            for document in documents_of(ours):
                counted[document] += 1
        return True

    def add_up(self) -> None:
        """All calls so far are in the figures, requests of nobody in no hour."""
        for hour, count in self.hours.items():
            self.figures.kinds[REQUEST] += count
            for tally in self.tallies:
                tally.requests += count
            if self.uid:  # one text for all days: names are most of the memory
                self.figures.hours[intern(f"{self.uid} {hour:02d}")] += count
        self.hours.clear()
        if self.answers:
            self.figures.kinds[ANSWER] += self.answers
            for tally in self.tallies:
                tally.answers += self.answers
                tally.prompt_tokens += self.prompt
                tally.completion_tokens += self.completion
            self.answers = self.prompt = self.completion = 0


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
        elif kind != ANSWER or not alike.answered(event, ours):
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
