"""What an entry of each kind adds to the figures of its day, whatever shape it has. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from sys import intern
from typing import TYPE_CHECKING, Any

from appliance.audit.tally import MAX_LOADS, PAIR, Figures, ModelLoad, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_PLAUSIBLE = 1e15
REQUEST, ANSWER = "request", "answer"
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
_NO_GROUP = "(no group)"
_NO_MODEL = "(no model)"
_EPOCH = date(1970, 1, 1)
_END_OF_TIME = datetime.max.replace(tzinfo=UTC).timestamp() * 1000


def _request(figures: Figures, tallies: tuple[Tally, ...], event: dict[str, Any], _: dict[str, Any]) -> None:
    for tally in tallies:
        tally.requests += 1
    if uid := text_of(object_of(object_of(event, "actor"), "user"), "uid"):
        figures.hours[intern(f"{uid} {plausible(event.get('time')) % DAY_MS // HOUR_MS:02d}")] += 1


def _answer(figures: Figures, tallies: tuple[Tally, ...], event: dict[str, Any], ours: dict[str, Any]) -> None:
    context = object_of(event, "message_context")
    prompt, completion = int(_number(context, "prompt_tokens")), int(_number(context, "completion_tokens"))
    joules = _number(ours, "joules")
    for tally in tallies:
        tally.answers += 1
        tally.prompt_tokens += prompt
        tally.completion_tokens += completion
        tally.joules += joules
    figures.outcomes[text_of(ours, "outcome") or "(none)"] += 1
    for document in documents_of(ours):
        figures.documents[document] += 1
    figures.energy_methods[text_of(ours, "energy_method") or "(none)"] += 1


def documents_of(ours: dict[str, Any]) -> dict[str, None]:
    """Names or digests of the documents that an answer rested on, each once, in order."""
    named = ours.get("documents")
    return dict.fromkeys([one for one in named if isinstance(one, str)]) if isinstance(named, list) else {}


def _refusal(figures: Figures, tallies: tuple[Tally, ...], _: dict[str, Any], ours: dict[str, Any]) -> None:
    for tally in tallies:
        tally.refusals += 1
    figures.refusal_reasons[text_of(ours, "reason_code") or "(none)"] += 1


def _sign_in(figures: Figures, event: dict[str, Any], ours: dict[str, Any]) -> None:
    """A failure stands for those like it before it, too, that were left out of the log."""
    user = object_of(event, "user")
    failures = 1 + int(_number(ours, "left_out"))
    mine = [figures.by_group[name] for name in _groups(user)] + [figures.by_user[text_of(user, "uid") or "(unknown)"]]
    for tally in [figures.total, *mine]:
        if event.get("status_id") == 1:
            tally.sign_ins += 1
        else:
            tally.failed_sign_ins += failures


def _failed_sign_in(figures: Figures, event: dict[str, Any], ours: dict[str, Any]) -> None:
    """What Keycloak refused; a sign-in that worked is counted where the gateway says so."""
    if event.get("status_id") != 1:
        _sign_in(figures, event, ours)


def _model_load(figures: Figures, event: dict[str, Any], ours: dict[str, Any]) -> None:
    model = object_of(event, "ai_model")
    name = text_of(model, "name") or _NO_MODEL
    for tally in (figures.total, figures.by_model[name]):
        tally.model_loads += 1
    if len(figures.model_loads) < MAX_LOADS:
        waivers = ours.get("waivers")
        figures.model_loads.append(
            ModelLoad(
                _moment(event.get("time")).isoformat(timespec="seconds"),
                name,
                text_of(model, "uid"),
                event.get("status_id") == 1,
                text_of(event, "status_detail"),
                len(waivers) if isinstance(waivers, list) else 0,
            )
        )


CALLS: dict[str, Callable[[Figures, tuple[Tally, ...], dict[str, Any], dict[str, Any]], None]] = {
    REQUEST: _request,
    ANSWER: _answer,
    "refusal": _refusal,
}
OTHERS: dict[str, Callable[[Figures, dict[str, Any], dict[str, Any]], None]] = {
    "sign_in": _sign_in,
    "identity_sign_in": _failed_sign_in,
    "model_load": _model_load,
}


def look_up(figures: Figures, event: dict[str, Any], ours: dict[str, Any]) -> Iterator[Tally]:
    """The day's tally, and those of the groups, model, purpose, user, and user with model that a call concerns."""
    user = object_of(object_of(event, "actor"), "user")
    model = text_of(object_of(event, "ai_model"), "name") or text_of(ours, "model_name") or _NO_MODEL
    yield figures.total
    yield from (figures.by_group[name] for name in _groups(user))
    yield figures.by_model[model]
    if purpose := text_of(ours, "purpose"):
        yield figures.by_purpose[purpose]
    if uid := text_of(user, "uid"):
        yield figures.by_user[intern(uid)]
        yield figures.by_user_model[intern(uid.replace(PAIR, " ") + PAIR + model)]  # one text for all days


def _groups(user: dict[str, Any]) -> list[str]:
    groups = user.get("groups")
    names = [text_of(g, "name") for g in groups if isinstance(g, dict)] if isinstance(groups, list) else []
    return list(dict.fromkeys(filter(None, names))) or [_NO_GROUP]


def object_of(value: dict[str, Any], name: str) -> dict[str, Any]:
    """What ``value`` has under ``name`` where that is an object, else an empty one."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def text_of(value: dict[str, Any], name: str) -> str:
    """What ``value`` has under ``name`` where that is a text, else an empty one."""
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _number(value: dict[str, Any], name: str) -> float:
    """A plausible number, else 0: a foreign entry cannot turn a sum into nonsense."""
    found = value.get(name)
    if isinstance(found, (int, float)) and not isinstance(found, bool) and 0 <= found <= MAX_PLAUSIBLE:
        return found
    return 0


def _moment(milliseconds: object) -> datetime:
    return datetime.fromtimestamp(plausible(milliseconds) / 1000, UTC)


def plausible(milliseconds: object) -> int:
    """A time that the calendar has, else 0."""
    return milliseconds if isinstance(milliseconds, int) and 0 <= milliseconds < _END_OF_TIME else 0


def day_of(milliseconds: object) -> str:
    """The day of a time, ISO in UTC; of what is no time, the first that there is."""
    return _name_of_day(plausible(milliseconds) // DAY_MS)


@lru_cache(maxsize=4096)
def _name_of_day(number: int) -> str:
    return (_EPOCH + timedelta(days=number)).isoformat()
