"""Counting events. Entries were verified, not validated: whatever shape one has, it must not break or skew a report."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from sys import intern
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from appliance.audit.tally import MAX_LOADS, PAIR, Figures, ModelLoad, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_PLAUSIBLE = 1e15
_FOREIGN = "(foreign)"
_NO_DAY = ""
_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_NO_GROUP = "(no group)"
_NO_MODEL = "(no model)"
_EPOCH = date(1970, 1, 1)
_END_OF_TIME = datetime.max.replace(tzinfo=UTC).timestamp() * 1000


class _Alike:
    """Calls that add to the same tallies; those of nobody have no hours."""

    __slots__ = ("_hours", "tallies", "uid")

    def __init__(self, tallies: tuple[Tally, ...], uid: str) -> None:
        self.tallies = tallies
        self.uid = uid
        self._hours: dict[int, str] = {}

    def hour(self, milliseconds: object) -> str:
        """The user and the hour of the day."""
        number = _plausible(milliseconds) % _DAY_MS // _HOUR_MS
        name = self._hours.get(number)
        if name is None:  # one text for all days: names are most of the memory
            name = self._hours[number] = intern(f"{self.uid} {number:02d}")
        return name


class Counting:
    """Adds entries to the figures of their ``days``. What a call adds to is looked up once for all that are alike."""

    def __init__(self, days: dict[str, Figures]) -> None:
        self.days = days
        self._alike: dict[tuple[Any, ...], _Alike] = {}

    def add(self, entry: bytes) -> None:
        """One entry more, to the figures of its day (ISO, UTC). Foreign and malformed entries are counted as such.

        What is no object at all has no day, and counts under the empty one.
        """
        try:
            event = from_json(entry, cache_strings="keys")
        except ValueError:
            event = _otherwise(entry)
        if not isinstance(event, dict):
            self.days[_NO_DAY].kinds[_FOREIGN] += 1
            return
        day = _day(event.get("time"))
        figures = self.days[day]
        ours = _object(_object(event, "unmapped"), "sovereign")
        kind = _text(ours, "kind") or _FOREIGN
        figures.kinds[kind] += 1
        if kind in _CALLS:
            _CALLS[kind](figures, self._like(day, event, ours), event, ours)
        elif kind in _OTHERS:
            _OTHERS[kind](figures, event, ours)

    def _like(self, day: str, event: dict[str, Any], ours: dict[str, Any]) -> _Alike:
        """The day's tally, and those of the groups, model, purpose, user, and user with model that a call concerns."""
        try:
            user, model = event["actor"]["user"], event["ai_model"]["name"]
            alike = (day, model, ours.get("purpose"), user["uid"], *[group["name"] for group in user["groups"]])
            found = self._alike.get(alike)
            if found is not None:
                return found
        except (KeyError, TypeError):  # somebody's shape: as good as any, and not kept
            model = alike = None
        uid = _text(_object(_object(event, "actor"), "user"), "uid")
        made = _Alike(tuple(_look_up(self.days[day], event, ours)), uid)
        if alike and isinstance(model, str) and model:  # else it is named elsewhere
            self._alike[alike] = made
        return made


def _otherwise(entry: bytes) -> Any:
    """What ``entry`` says; None when it is no JSON. The quicker parser refuses some that is."""
    try:
        return json.loads(entry)
    except (ValueError, RecursionError):  # the second: of an entry that somebody edited
        return None


def _request(figures: Figures, alike: _Alike, event: dict[str, Any], _: dict[str, Any]) -> None:
    for tally in alike.tallies:
        tally.requests += 1
    if alike.uid:
        figures.hours[alike.hour(event.get("time"))] += 1


def _answer(figures: Figures, alike: _Alike, event: dict[str, Any], ours: dict[str, Any]) -> None:
    context = _object(event, "message_context")
    prompt, completion = int(_number(context, "prompt_tokens")), int(_number(context, "completion_tokens"))
    joules = _number(ours, "joules")
    for tally in alike.tallies:
        tally.answers += 1
        tally.prompt_tokens += prompt
        tally.completion_tokens += completion
        tally.joules += joules
    figures.outcomes[_text(ours, "outcome") or "(none)"] += 1
    for document in _documents(ours):
        figures.documents[document] += 1
    figures.energy_methods[_text(ours, "energy_method") or "(none)"] += 1


def _documents(ours: dict[str, Any]) -> list[str]:
    """Names or digests of the documents that an answer rested on, each once."""
    named = ours.get("documents")
    return list(dict.fromkeys(one for one in named if isinstance(one, str))) if isinstance(named, list) else []


def _refusal(figures: Figures, alike: _Alike, _: dict[str, Any], ours: dict[str, Any]) -> None:
    for tally in alike.tallies:
        tally.refusals += 1
    figures.refusal_reasons[_text(ours, "reason_code") or "(none)"] += 1


def _sign_in(figures: Figures, event: dict[str, Any], _: dict[str, Any]) -> None:
    user = _object(event, "user")
    mine = [figures.by_group[name] for name in _groups(user)] + [figures.by_user[_text(user, "uid") or "(unknown)"]]
    for tally in [figures.total, *mine]:
        if event.get("status_id") == 1:
            tally.sign_ins += 1
        else:
            tally.failed_sign_ins += 1


def _failed_sign_in(figures: Figures, event: dict[str, Any], ours: dict[str, Any]) -> None:
    """What Keycloak refused; a sign-in that worked is counted where the gateway says so."""
    if event.get("status_id") != 1:
        _sign_in(figures, event, ours)


def _model_load(figures: Figures, event: dict[str, Any], ours: dict[str, Any]) -> None:
    model = _object(event, "ai_model")
    name = _text(model, "name") or _NO_MODEL
    for tally in (figures.total, figures.by_model[name]):
        tally.model_loads += 1
    if len(figures.model_loads) < MAX_LOADS:
        waivers = ours.get("waivers")
        figures.model_loads.append(
            ModelLoad(
                _moment(event.get("time")).isoformat(timespec="seconds"),
                name,
                _text(model, "uid"),
                event.get("status_id") == 1,
                _text(event, "status_detail"),
                len(waivers) if isinstance(waivers, list) else 0,
            )
        )


_CALLS: dict[str, Callable[[Figures, _Alike, dict[str, Any], dict[str, Any]], None]] = {
    "request": _request,
    "answer": _answer,
    "refusal": _refusal,
}
_OTHERS: dict[str, Callable[[Figures, dict[str, Any], dict[str, Any]], None]] = {
    "sign_in": _sign_in,
    "identity_sign_in": _failed_sign_in,
    "model_load": _model_load,
}


def _look_up(figures: Figures, event: dict[str, Any], ours: dict[str, Any]) -> Iterator[Tally]:
    user = _object(_object(event, "actor"), "user")
    model = _text(_object(event, "ai_model"), "name") or _text(ours, "model_name") or _NO_MODEL
    yield figures.total
    yield from (figures.by_group[name] for name in _groups(user))
    yield figures.by_model[model]
    if purpose := _text(ours, "purpose"):
        yield figures.by_purpose[purpose]
    if uid := _text(user, "uid"):
        yield figures.by_user[intern(uid)]
        yield figures.by_user_model[intern(uid.replace(PAIR, " ") + PAIR + model)]  # as in ``hour``


def _groups(user: dict[str, Any]) -> list[str]:
    groups = user.get("groups")
    names = [_text(g, "name") for g in groups if isinstance(g, dict)] if isinstance(groups, list) else []
    return list(dict.fromkeys(filter(None, names))) or [_NO_GROUP]


def _object(value: dict[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _number(value: dict[str, Any], name: str) -> float:
    """A plausible number, else 0: a foreign entry cannot turn a sum into nonsense."""
    found = value.get(name)
    if isinstance(found, (int, float)) and not isinstance(found, bool) and 0 <= found <= MAX_PLAUSIBLE:
        return found
    return 0


def _moment(milliseconds: object) -> datetime:
    return datetime.fromtimestamp(_plausible(milliseconds) / 1000, UTC)


def _plausible(milliseconds: object) -> int:
    """A time that the calendar has, else 0."""
    return milliseconds if isinstance(milliseconds, int) and 0 <= milliseconds < _END_OF_TIME else 0


def _day(milliseconds: object) -> str:
    return _name_of_day(_plausible(milliseconds) // _DAY_MS)


@lru_cache(maxsize=4096)
def _name_of_day(number: int) -> str:
    return (_EPOCH + timedelta(days=number)).isoformat()
