"""What the API server noted of a call, in short: who, what, whereon, from where, and how it ended. Pure.

Bodies are not in what it notes (the policy's level), and the query of an address is left out: what `kubectl exec` is
to run stands there, and people type passwords into commands. Every text is the caller's and is cut to a length.
"""

from __future__ import annotations

import json
from typing import Any

LONG, SHORT, MANY = 253, 128, 16  # 253: the longest name in Kubernetes
EVENT = b'{"kind":"Event"'
_PROGRAMS = ("system:serviceaccount:", "system:node:")
_REFUSED = range(400, 500)  # whoever has no right at all can cause them
_MINUTE = 60


def event_of(text: bytes) -> tuple[dict[str, Any] | None, int]:
    """The event of a line, None where it is none, and how many bytes of the line belong to none.

    Of a line that begins with half an event, the one behind that: a half stands there when the API server was killed
    while it wrote. No text of a caller's holds an unescaped quote.
    """
    for start in dict.fromkeys((0, max(text.rfind(EVENT), 0))):
        try:
            found = json.loads(text[start:].decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict) and found.get("kind") == "Event":
            return found, start
    return None, len(text)


def short(event: dict[str, Any]) -> dict[str, Any]:
    """The call of an event, each field of one type and bounded; what it lacks is not there."""
    user, ref = _object(event, "user"), _object(event, "objectRef")
    sources = event.get("sourceIPs")
    told: dict[str, Any] = {
        "call": _text(event, "auditID", SHORT),
        "stage": _text(event, "stage", SHORT),
        "verb": _text(event, "verb", SHORT),
        "user": _text(user, "username", LONG),
        "groups": _texts(user.get("groups")),
        "impersonated": _text(_object(event, "impersonatedUser"), "username", LONG),
        "group": _text(ref, "apiGroup", LONG),
        "resource": _text(ref, "resource", LONG),
        "subresource": _text(ref, "subresource", LONG),
        "namespace": _text(ref, "namespace", LONG),
        "name": _text(ref, "name", LONG),
        # Every address but the last is what the caller says.
        "source": (_texts(sources[-1:]) or [None])[0] if isinstance(sources, list) else None,
        "agent": _text(event, "userAgent", SHORT),
        "code": _code(event),
        "received": _text(event, "requestReceivedTimestamp", SHORT),
        "decision": _text(_object(event, "annotations"), "authorization.k8s.io/decision", SHORT),
    }
    if not ref:
        told["path"] = (_text(event, "requestURI", 4 * LONG) or "").partition("?")[0][:LONG]
    return {name: value for name, value in told.items() if value not in (None, "", [])}


class Bound:
    """How much of what is alike is told: so much at once, and so much a minute. Its state is plain JSON.

    Calls of people that succeed, or that the server failed at, are all told. Programs repeat themselves, and whoever
    may do nothing can fail as often as they like; of those the next call that is told says how many were left out.
    Times are the API server's.
    """

    FAILURES, PROGRAMS, KEYS = 10, 60, 512

    def __init__(self, state: dict[str, list[float]]) -> None:
        self.state = state

    def admit(self, call: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """``call``, perhaps with ``left_out``; None: it is left out. ``seconds`` is when it was."""
        alike = _alike(call)
        if alike is None:
            return call
        most, key = alike
        if key not in self.state and len(self.state) >= self.KEYS:
            key = f"{most} others"
        tokens, last, left = self.state.get(key, [most, seconds, 0])
        tokens = min(most, tokens + max(0.0, seconds - last) * most / _MINUTE)
        told = tokens >= 1
        # Calls come a little out of order, which frees nothing; a clock that was set back goes on from there.
        last = seconds if last - seconds > _MINUTE else max(last, seconds)
        self.state[key] = [round(tokens - told, 3), last, 0 if told else left + 1]
        if not told:
            return None
        return {**call, "left_out": int(left)} if left else call

    def forget(self, seconds: float) -> None:
        """Let go of what is as if it had never been, at ``seconds``."""
        idle = [key for key, (_, last, left) in self.state.items() if not left and seconds - last > _MINUTE]
        for key in idle:
            del self.state[key]


def _alike(call: dict[str, Any]) -> tuple[int, str] | None:
    """How many of a kind are told, and the kind; None: all of them."""
    user, code = call.get("user", ""), call.get("code", 0)
    what = "/".join(str(call.get(part, "")) for part in ("verb", "namespace", "group", "resource", "subresource"))
    if code in _REFUSED:
        return Bound.FAILURES, f"{code} {user}"
    if user.startswith(_PROGRAMS):
        return Bound.PROGRAMS, f"{user} {what} {code}"
    return None


def _code(event: dict[str, Any]) -> int | None:
    code = _object(event, "responseStatus").get("code")
    return code if type(code) is int and 0 <= code <= 999 else None  # noqa: PLR2004 - HTTP has three digits


def _object(value: dict[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: dict[str, Any], name: str, most: int) -> str | None:
    found = value.get(name)
    return found[:most].encode("utf-8", "replace").decode() if isinstance(found, str) else None


def _texts(values: object) -> list[str]:
    listed = values if isinstance(values, list) else []
    return [text for one in listed[:MANY] if (text := _text({"": one}, "", SHORT))]
