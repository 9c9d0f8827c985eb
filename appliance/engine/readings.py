"""How many readings of one text a schema keeps open at once: what its grammar costs at every token.

llama.cpp follows every reading that still fits, and asks each of them about the vocabulary's every token. Alternatives
that begin alike are read side by side, and where they contain one another the readings multiply with every bracket: two
lines of schema then stop the engine for good. So readings are counted here, before there is a grammar, on the schema as
``SchemaReader`` rebuilt it. The count is an upper bound: some schemas that would end well are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from appliance.engine.schema import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_READINGS = 128
_CAUSE = f"its alternatives leave more than {MAX_READINGS} readings of one answer open"
_HINT = "; let them differ in type, and not contain one another"

Readings = dict[str, int]
"""Kind of value (an object and a text differ at their first character) → how many readings begin so."""


def require_few_readings(root: Mapping[str, Any], definitions: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ``EngineRefusedError`` when ``root``, which may refer to ``definitions``, has more than ``MAX_READINGS``.

    Definitions that contain themselves are counted until nothing grows any more; what grows for longer than there are
    definitions to pass through grows without end.
    """
    known: dict[str, Readings] = {name: {} for name in definitions}
    for _ in range(4 * len(known) + 2):
        before = {name: dict(found) for name, found in known.items()}
        for name, node in definitions.items():
            known[name] = _bounded(node, known)
        if known == before:
            _bounded(root, known)
            return
    raise refuse("", _CAUSE + _HINT)


def _bounded(node: Mapping[str, Any], known: Mapping[str, Readings]) -> Readings:
    found = _readings(node, known)
    if _most(found) > MAX_READINGS:
        raise refuse("", _CAUSE + _HINT)
    return found


def _most(found: Readings) -> int:
    return max(found.values(), default=1)


def _readings(node: Mapping[str, Any], known: Mapping[str, Readings]) -> Readings:
    if "$ref" in node:
        return known[node["$ref"]]
    if "anyOf" in node:
        return _sum(_readings(option, known) for option in node["anyOf"])
    if "enum" in node or "const" in node:
        return _sum({_kind_of(value): 1} for value in node.get("enum", [node.get("const")]))
    match node["type"]:
        case "array":
            return {"array": _most(_readings(node["items"], known))}
        case "object":
            return {"object": _inside_object(node, known)}
        case kind:
            return {"number" if kind == "integer" else kind: 1}


def _inside_object(node: Mapping[str, Any], known: Mapping[str, Readings]) -> int:
    """Names are told apart before their values begin; a name may be read as a further one, too, where those may be."""
    properties, more = node.get("properties", {}), node.get("additionalProperties", False)
    values = max((_most(_readings(value, known)) for value in properties.values()), default=0)
    further = _most(_readings(more, known)) if isinstance(more, dict) else int(more)
    return max(values + further, len(properties) - len(set(node.get("required", []))), 1)


def _sum(parts: Any) -> Readings:
    total: Readings = {}
    for part in parts:
        for kind, count in part.items():
            total[kind] = total.get(kind, 0) + count
    return total


def _kind_of(value: object) -> str:
    if isinstance(value, str):
        return "string"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else "literal"
