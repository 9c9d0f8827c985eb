"""Counting events. Entries were verified, not validated: whatever shape one has, it must not break or skew a report."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from appliance.audit.tally import ModelLoad, Tally, UsageReport

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_LOADS = 200
MAX_PLAUSIBLE = 1e15
_NO_GROUP = "(no group)"
_NO_MODEL = "(no model)"


def count(report: UsageReport, entry: bytes) -> None:
    """Add one entry to the report, if its day is in the period. Foreign and malformed entries are counted as such."""
    event = _event(entry)
    if not isinstance(event, dict):
        report.kinds["(foreign)"] += 1
        return
    moment = _moment(event.get("time"))
    day = moment.date()
    if (report.since and day < report.since) or (report.until and day > report.until):
        return
    ours = _object(_object(event, "unmapped"), "sovereign")
    kind = _text(ours, "kind") or "(foreign)"
    report.kinds[kind] += 1
    counter = _COUNTERS.get(kind)
    if counter:
        counter(report, event, ours, [report.total, report.by_day[day.isoformat()]])


def _event(entry: bytes) -> Any:
    """What ``entry`` says; None when it is no JSON. The quicker parser reads most, and refuses some that are."""
    try:
        return from_json(entry)
    except ValueError:
        try:
            return json.loads(entry)
        except (ValueError, RecursionError):  # the second: of an entry that somebody edited
            return None


def _request(report: UsageReport, event: dict[str, Any], ours: dict[str, Any], tallies: list[Tally]) -> None:
    for tally in [*tallies, *_dimensions(report, event, ours)]:
        tally.requests += 1


def _answer(report: UsageReport, event: dict[str, Any], ours: dict[str, Any], tallies: list[Tally]) -> None:
    context = _object(event, "message_context")
    prompt, completion = int(_number(context, "prompt_tokens")), int(_number(context, "completion_tokens"))
    joules = _number(ours, "joules")
    for tally in [*tallies, *_dimensions(report, event, ours)]:
        tally.answers += 1
        tally.prompt_tokens += prompt
        tally.completion_tokens += completion
        tally.joules += joules
    report.outcomes[_text(ours, "outcome") or "(none)"] += 1
    report.energy_methods[_text(ours, "energy_method") or "(none)"] += 1


def _refusal(report: UsageReport, event: dict[str, Any], ours: dict[str, Any], tallies: list[Tally]) -> None:
    for tally in [*tallies, *_dimensions(report, event, ours)]:
        tally.refusals += 1
    report.refusal_reasons[_text(ours, "reason_code") or "(none)"] += 1


def _sign_in(report: UsageReport, event: dict[str, Any], _: dict[str, Any], tallies: list[Tally]) -> None:
    user = _object(event, "user")
    mine = [report.by_group[name] for name in _groups(user)] + [report.by_user[_text(user, "uid") or "(unknown)"]]
    for tally in [*tallies, *mine]:
        if event.get("status_id") == 1:
            tally.sign_ins += 1
        else:
            tally.failed_sign_ins += 1


def _model_load(report: UsageReport, event: dict[str, Any], ours: dict[str, Any], tallies: list[Tally]) -> None:
    model = _object(event, "ai_model")
    name = _text(model, "name") or _NO_MODEL
    for tally in [*tallies, report.by_model[name]]:
        tally.model_loads += 1
    if len(report.model_loads) < MAX_LOADS:
        waivers = ours.get("waivers")
        report.model_loads.append(
            ModelLoad(
                _moment(event.get("time")).isoformat(timespec="seconds"),
                name,
                _text(model, "uid"),
                event.get("status_id") == 1,
                _text(event, "status_detail"),
                len(waivers) if isinstance(waivers, list) else 0,
            )
        )


_COUNTERS: dict[str, Callable[[UsageReport, dict[str, Any], dict[str, Any], list[Tally]], None]] = {
    "request": _request,
    "answer": _answer,
    "refusal": _refusal,
    "sign_in": _sign_in,
    "model_load": _model_load,
}


def _dimensions(report: UsageReport, event: dict[str, Any], ours: dict[str, Any]) -> list[Tally]:
    """The group, model, purpose and user tallies that a call concerns."""
    user = _object(_object(event, "actor"), "user")
    model = _text(_object(event, "ai_model"), "name") or _text(ours, "model_name") or _NO_MODEL
    purpose = _text(ours, "purpose")
    return [
        *(report.by_group[name] for name in _groups(user)),
        report.by_model[model],
        *([report.by_purpose[purpose]] if purpose else []),
        *([report.by_user[uid]] if (uid := _text(user, "uid")) else []),
    ]


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
    limit = datetime.max.replace(tzinfo=UTC).timestamp() * 1000
    usable = isinstance(milliseconds, int) and 0 <= milliseconds < limit
    return datetime.fromtimestamp(milliseconds / 1000 if usable and isinstance(milliseconds, int) else 0, UTC)
