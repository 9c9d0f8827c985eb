"""Reads site.yaml: a ``SiteConfig``, or every mistake at once, each with its line.

Order: form (YAML, duplicate keys) → fields (types, ranges, unknown names) → rules between fields. The last are also
looked for when single fields are wrong, on the file without those fields; a rule that touches a field already
reported is then left out, since it would blame a default the operator never wrote.
"""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from appliance.errors import SiteFileError, UsageError
from appliance.site.cluster import ClusterSite
from appliance.site.config import SiteConfig
from appliance.site.marks import MAX_BYTES, Marked, Mistake, Place, dotted, read_marked

if TYPE_CHECKING:
    from pathlib import Path

Model = TypeVar("Model", bound=BaseModel)
MAX_SHOWN = 40
_STAND_IN = {"schema": 1, "name": "site"}  # lets the rules between fields run when only these are wrong


def load_site(path: Path) -> SiteConfig:
    """Read and check the site file at ``path``.

    Raises ``UsageError`` when it cannot be read and ``SiteFileError`` with every mistake when it is wrong.
    """
    return parse_site(read_site_bytes(path), str(path))


def read_site_bytes(path: Path) -> bytes:
    """The bytes of a site file, at most one more than may be parsed. Raises ``UsageError`` when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path}: {(error.strerror or 'cannot be read').lower()}",
            "name the site file with --config, or install first",
        ) from error


def load_cluster_site(path: Path) -> ClusterSite:
    """As ``load_site``, for the site file of a cluster."""
    return _parse(read_site_bytes(path), str(path), ClusterSite)


def parse_site(data: bytes, name: str) -> SiteConfig:
    """Check the bytes of a site file; ``name`` appears in messages. Errors as for ``load_site``."""
    return _parse(data, name, SiteConfig)


def _parse(data: bytes, name: str, model: type[Model]) -> Model:
    if len(data) > MAX_BYTES:
        raise SiteFileError(name, (f"line 1: larger than {MAX_BYTES // 1024} KiB",))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SiteFileError(name, (f"line {line}: not UTF-8 text",)) from error
    marked = read_marked(text)
    if not marked.mistakes and not isinstance(marked.value, dict):
        raise SiteFileError(name, ("line 1: the file must hold fields, such as `schema: 1`",))
    config, found = _validate(marked, model) if isinstance(marked.value, dict) else (None, [])
    mistakes = sorted({*marked.mistakes, *found}, key=lambda m: (m.line, str(m)))
    if mistakes or config is None:
        raise SiteFileError(name, tuple(str(m) for m in mistakes[:MAX_SHOWN]))
    return config


def _validate(marked: Marked, model: type[Model]) -> tuple[Model | None, list[Mistake]]:
    """The configuration, or the mistakes in its fields and between them."""
    try:
        return _strictly(marked.value, model), []
    except ValidationError as error:
        rules = [e for e in error.errors() if not e["loc"]]
        fields = _without_echoes([e for e in error.errors() if e["loc"]])
    found = [_field_mistake(e, marked, model) for e in fields]
    if rules:
        return None, _rule_mistakes(rules, marked)
    pruned = json.loads(json.dumps(marked.value))
    places = [_removable(tuple(e["loc"])) for e in fields]
    for place in sorted(places, key=len, reverse=True):
        _remove(pruned, place)
    try:
        _strictly(_STAND_IN | pruned, model)
    except ValidationError as error:
        rules = [e for e in error.errors() if not e["loc"]]
        blamed = [re.compile(rf"(?<![\w.]){re.escape(dotted(p))}(?!\w)") for p in places]
        found += [m for m in _rule_mistakes(rules, marked) if not any(b.search(str(m)) for b in blamed)]
    return None, found


def _strictly(value: object, model: type[Model]) -> Model:
    """JSON strict mode: ``true`` is no number and ``"8443"`` is no port, while lists still become tuples."""
    return model.model_validate_json(json.dumps(value), strict=True)


def _without_echoes(errors: list[Any]) -> list[Any]:
    """Leave out "too few items" where an item inside was refused: the item is the mistake."""
    inside = {tuple(e["loc"][:n]) for e in errors for n in range(1, len(e["loc"]))}
    return [e for e in errors if e["type"] != "too_short" or tuple(e["loc"]) not in inside]


def _removable(place: Place) -> Place:
    """The field to leave out for a mistake at ``place``: a list goes whole, so that indexes keep their meaning."""
    while isinstance(place[-1], int):
        place = place[:-1]
    return place


def _remove(value: Any, place: Place) -> None:
    """Drop the field at ``place`` if it is there."""
    for part in place[:-1]:
        if isinstance(value, dict | list):
            try:
                value = value[part]  # type: ignore[index]  # a wrong kind of index is the except branch
            except (KeyError, IndexError, TypeError):
                return
    if isinstance(value, dict):
        value.pop(place[-1], None)


def _rule_mistakes(errors: list[Any], marked: Marked) -> list[Mistake]:
    found = []
    for error in errors:
        for message in str(error["ctx"]["error"]).split("\n"):
            path, _, cause = message.partition(": ")
            place = tuple(int(p) if p.isdigit() else p for p in path.split("."))
            found.append(Mistake(marked.line(place), place, cause))
    return found


def _field_mistake(error: Any, marked: Marked, model: type[BaseModel]) -> Mistake:
    place = tuple(error["loc"])
    return Mistake(marked.line(place), place, _cause(error, place, model))


def _cause(error: Any, place: Place, model: type[BaseModel]) -> str:
    if error["type"] == "extra_forbidden":
        return _unknown_field(place, model)
    if error["type"] == "missing":
        return "is required"
    text = str(error["msg"]).removeprefix("Input ").removeprefix("Value error, ")
    text = text[:1].lower() + text[1:]
    given = error.get("input")
    return f"{text}, not {given!r:.60}" if given is None or isinstance(given, str | int | float) else text


def _unknown_field(place: Place, model: type[BaseModel]) -> str:
    known = _fields_at(place[:-1], model)
    close = difflib.get_close_matches(str(place[-1]), known, n=1, cutoff=0.6)
    return f"unknown field; did you mean {close[0]}?" if close else f"unknown field; known here: {', '.join(known)}"


def _fields_at(place: Place, model: type[BaseModel]) -> list[str]:
    """Names a mapping at ``place`` may hold."""
    for part in place:
        if isinstance(part, int):
            continue
        annotation = next(f.annotation for n, f in model.model_fields.items() if part in (n, f.alias))
        model = next(t for t in (annotation, *get_args(annotation)) if isinstance(t, type) and issubclass(t, BaseModel))
    return [field.alias or name for name, field in model.model_fields.items()]
