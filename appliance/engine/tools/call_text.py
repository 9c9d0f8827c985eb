"""A call as the model words it: where its JSON ends, while it comes in pieces, and what it says once whole. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

_TEXT = re.compile(r'["\\]')
_OUTSIDE = re.compile(r'["{}]')
_BLANK = re.compile(r"[ \t\r\n]*")


def _no_number(literal: str) -> NoReturn:
    raise ValueError(f"{literal} is no JSON")


_JSON = json.JSONDecoder(parse_constant=_no_number)


class ObjectEnd:
    """Finds the end of the one JSON object that a text begins with; each character is looked at once.

    What stands in a string ends nothing, nor does what is escaped there.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._in_text = False
        self._escaped = False

    def push(self, piece: str) -> int | None:
        """How much of ``piece`` belongs to the object, if it ends there; None: it goes on."""
        at = 0
        if self._escaped and piece:
            at, self._escaped = 1, False
        while (found := (_TEXT if self._in_text else _OUTSIDE).search(piece, at)) is not None:
            at = found.end()
            match found.group():
                case "\\":
                    self._escaped = at == len(piece)
                    at += 1
                case '"':
                    self._in_text = not self._in_text
                case "{":
                    self._depth += 1
                case _:
                    self._depth -= 1
                    if self._depth <= 0:
                        return at
        return None


def name_and_arguments(text: str, key: str) -> tuple[str, str] | None:
    """The name in a call, and its arguments (under ``key``) as the model wrote them; None where it is no call.

    The model's own text is kept: written anew, a number that no float holds would be ``Infinity``, which is no JSON,
    and half of a surrogate pair, which JSON can spell, could not be sent.
    """
    try:
        found = _members(text)
        name, arguments = found["name"], found[key]
    except (ValueError, KeyError, IndexError, RecursionError):
        return None
    if not isinstance(name[0], str) or not isinstance(arguments[0], dict):
        return None
    return name[0], arguments[1]


def _members(text: str) -> dict[str, tuple[Any, str]]:
    """The members of the JSON object in ``text``: each value, and the text it was read from."""
    members: dict[str, tuple[Any, str]] = {}
    at = _after(text, 0, "{")
    while True:
        key, at = _JSON.raw_decode(text, _skip(text, at))
        at = _skip(text, _after(text, at, ":"))
        value, end = _JSON.raw_decode(text, at)
        members[str(key)] = (value, text[at:end])
        at = _skip(text, end)
        if text[at] != ",":
            break
        at += 1
    if _skip(text, _after(text, at, "}")) != len(text):
        raise ValueError("more follows")
    return members


def _skip(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return at if blank is None else blank.end()


def _after(text: str, at: int, wanted: str) -> int:
    at = _skip(text, at)
    if text[at] != wanted:
        raise ValueError(f"{wanted} is missing")
    return at + 1
