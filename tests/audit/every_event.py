"""Every event that the log can hold, built from the signatures of its builders: a new builder, or a new parameter of
one, is among them without anybody's help.

Each builder is called with no more than it must have, with everything that it takes, with each word of its literals
and each answer to its yes or no, and with texts that nobody expects.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from appliance import audit
from appliance.audit.apart import set_apart
from appliance.audit.closing import interrupted
from appliance.audit.entry import encode_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from appliance.audit.ocsf import Event

AT = datetime(2026, 11, 22, 12, 0, 0, 5000, tzinfo=UTC)
TEXTS = ("x", "192.0.2.1", "", "\x1b[2J\n\u202e\ud800", "y" * 2000)
"""The first is what one expects."""
_NAMES = {"Mapping": Mapping, "Sequence": Sequence, "datetime": datetime, "Any": Any, "Literal": Literal}
_SCALARS: dict[Any, list[Any]] = {int: [1], bool: [True, False], float: [0.5], datetime: [AT]}
_ACTIVITIES = {"account_change": (1, 2, 3, 4, 5, 6, 9, 10, 11, 99), "identity_change": (1, 3, 4)}
"""Of builders that are told the activity itself, by a number: those that ``identity.events`` gives them."""


@cache
def builders() -> dict[str, Callable[..., Event]]:
    """Every public function of the modules ``appliance.audit.events*`` that makes an event, by name."""
    found: dict[str, Callable[..., Event]] = {}
    for module in pkgutil.iter_modules(audit.__path__):
        if module.name.startswith("events"):
            own = importlib.import_module(f"{audit.__name__}.{module.name}")
            found |= {
                name: function
                for name, function in inspect.getmembers(own, inspect.isfunction)
                if function.__module__ == own.__name__
                and not name.startswith("_")
                and function.__annotations__.get("return") == "Event"
            }
    return found


def logged(event: Event) -> Event:
    """``event`` as an entry has it: with its id, and long texts cut."""
    made: Event = json.loads(encode_entry(set_apart(event, "id")[0], "id"))
    return made


def cases() -> Iterator[tuple[str, Event]]:
    """Each builder's events as they are logged, and what the writer makes of a request whose gateway is gone."""
    for name, build in builders().items():
        for given in _calls(name, build):
            event = logged(build(**given))
            yield name, event
            if name == "request":
                made = interrupted(event, 7, at=AT)
                assert made is not None
                yield "interrupted", logged(made)


def _calls(name: str, build: Callable[..., Event]) -> Iterator[dict[str, Any]]:
    hints = get_type_hints(build, {**vars(inspect.getmodule(build)), **_NAMES})
    parameters = inspect.signature(build).parameters
    needed = [one for one, parameter in parameters.items() if parameter.default is parameter.empty]
    whole = {one: _values(name, one, hints[one], TEXTS[0])[0] for one in parameters}
    yield {one: whole[one] for one in (*needed, *(["at"] if "at" in whole else []))}
    yield whole
    for one in parameters:
        yield from (whole | {one: value} for value in _values(name, one, hints[one], TEXTS[0])[1:])
    for text in TEXTS[1:]:
        yield {one: _values(name, one, hints[one], text)[0] for one in parameters}


def _values(builder: str, name: str, hint: Any, text: str) -> Sequence[Any]:
    """What a parameter may be given; the first is the plainest."""
    if name == "activity" and builder in _ACTIVITIES:
        return _ACTIVITIES[builder]
    if hint is str:
        return [text]
    if hint in _SCALARS:
        return _SCALARS[hint]
    return _composed(builder, name, hint, text)


def _composed(builder: str, name: str, hint: Any, text: str) -> Sequence[Any]:
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Literal:
        return inside
    if origin in {Union, UnionType}:
        return [*_values(builder, name, next(one for one in inside if one is not NoneType), text), None]
    if origin is Mapping:
        return [{"key": text if inside[1] is Any else _values(builder, name, inside[1], text)[0]}, {}]
    if origin in {Sequence, list, tuple}:
        kind = tuple if origin is tuple else list
        return [kind([_values(builder, name, inside[0], text)[0]] * 2), kind()]
    raise AssertionError(f"{builder}: nobody knows what {name} may be given: {hint}")
