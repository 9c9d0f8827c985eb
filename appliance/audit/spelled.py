"""What entries of earlier releases say twice: OCSF's words beside its numbers, and a request's id in three places.

A log in the field holds entries of both sorts. Readers go by numbers, which both have; this tells the two apart from
events that differ. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from appliance.audit import ocsf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliance.audit.ocsf import Event

Place = tuple[str, ...]
_CLASSES = {
    one.uid: one
    for one in (
        ocsf.ACCOUNT_CHANGE,
        ocsf.AUTHENTICATION,
        ocsf.ENTITY_MANAGEMENT,
        ocsf.NETWORK_ACTIVITY,
        ocsf.APPLICATION_LIFECYCLE,
        ocsf.API_ACTIVITY,
    )
}
_WORDS: tuple[tuple[str, str, dict[int, str]], ...] = (
    ("status_id", "status", {ocsf.SUCCESS: "Success", ocsf.FAILURE: "Failure"}),
    ("action_id", "action", {2: "Denied"}),
    ("disposition_id", "disposition", {2: "Blocked"}),
    ("auth_protocol_id", "auth_protocol", {4: "OpenID"}),
)
_PRODUCT = "sovereign"


def spelled(event: Event) -> Iterator[tuple[Place, Any]]:
    """Every place where an earlier release's entry of this event has something more, and what it says there."""
    event_class, activity = _CLASSES.get(_number(event, "class_uid")), _number(event, "activity_id")
    if event_class is not None and activity in event_class.activities:
        for name, word in ocsf.words(event_class, activity).items():
            yield (name,), word
    for number, name, words in _WORDS:
        if word := words.get(_number(event, number)):
            yield (name,), word
    yield ("metadata", "log_name"), "audit"
    if at(event, ("metadata", "product", "name")) == _PRODUCT:
        yield ("metadata", "product", "vendor_name"), _PRODUCT
    request = at(event, ("metadata", "correlation_uid"))
    if isinstance(request, str):
        yield ("api", "request"), {"uid": request}
        yield ("message_context", "uid"), request
    counts = [_number(at(event, ("message_context",)), name) for name in ("prompt_tokens", "completion_tokens")]
    if min(counts) >= 0:
        yield ("message_context", "total_tokens"), sum(counts)


def lean(event: Event) -> Event:
    """``event`` without what it says twice; one that says something else there keeps it. Changes ``event``."""
    for place, said in list(spelled(event)):
        inside = at(event, place[:-1])
        if isinstance(inside, dict) and inside.get(place[-1]) == said:
            del inside[place[-1]]
    return event


def at(event: Any, place: Place) -> Any:
    """What stands at ``place``; None where nothing does."""
    for name in place:
        event = event.get(name) if isinstance(event, dict) else None
    return event


def _number(value: Any, name: str) -> int:
    found = value.get(name) if isinstance(value, dict) else None
    return found if type(found) is int else -1
