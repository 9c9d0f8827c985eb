"""Which JSON schemas an answer may be bound to: those whose every rule the grammar really enforces.

A schema is a stranger's input and becomes a program for llama.cpp's grammar parser, so it is rebuilt here from a short
list of keywords, within bounds. A keyword that would be ignored (``pattern``, ``minimum``, …) is refused rather than
promised. Annotations are dropped. ``$ref`` reaches ``$defs`` of the same schema only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from appliance.engine.errors import EngineRefusedError

MAX_DEPTH = 16
MAX_NODES = 512
MAX_PROPERTIES = 128
MAX_CONSTANTS = 512
MAX_REPETITIONS = 1024
MAX_NAME_CHARS = 256

_ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$schema", "$id", "$comment"}
)
_DEFINITIONS = ("$defs", "definitions")
_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_FORMATS = frozenset({"date", "time", "date-time", "uuid"})
_KEYWORDS: dict[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "string": frozenset({"minLength", "maxLength", "format"}),
}


def refuse(where: str, cause: str) -> EngineRefusedError:
    """The refusal of a schema at ``where`` (a path of keywords)."""
    return EngineRefusedError("invalid_json_schema", f"{where or 'schema'}: {cause}")


@dataclass
class SchemaReader:
    """Rebuilds schemas. What is read by one reader has its bounds together."""

    _names: dict[str, str] = field(default_factory=dict)
    _nodes: int = 0
    _constants: int = 0
    _repetitions: int = 0

    def read(self, schema: object) -> tuple[dict[str, Any], dict[str, Any]]:
        """The schema in the accepted keywords, and its definitions by the references that now name them.

        Raises ``EngineRefusedError``.
        """
        if not isinstance(schema, dict):
            raise refuse("", "is not an object")
        definitions: dict[str, Any] = {}
        for group in _DEFINITIONS:
            found = schema.get(group, {})
            if not isinstance(found, dict):
                raise refuse(group, "is not an object")
            definitions |= {f"#/{group}/{name}": value for name, value in found.items()}
        self._names = {ref: f"#/def-{index}" for index, ref in enumerate(definitions)}
        root = self._node({k: v for k, v in schema.items() if k not in _DEFINITIONS}, "", 0)
        return root, {self._names[ref]: self._node(value, ref, 1) for ref, value in definitions.items()}

    def _node(self, node: object, where: str, depth: int) -> dict[str, Any]:
        if not isinstance(node, dict):
            raise refuse(where, "is not an object")
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise refuse(where, f"the schema has more than {MAX_NODES} parts or is nested deeper than {MAX_DEPTH}")
        rules = {k: v for k, v in node.items() if k not in _ANNOTATIONS}
        for keyword, reader in (("$ref", self._reference), ("const", self._constant), ("enum", self._enumeration)):
            if keyword in rules:
                self._only(rules, {keyword, "type"}, where)
                return reader(rules[keyword], where)
        for keyword in ("anyOf", "oneOf", "allOf"):
            if keyword in rules:
                self._only(rules, {keyword}, where)
                return self._alternatives(keyword, rules[keyword], where, depth)
        return self._typed(rules, where, depth)

    @staticmethod
    def _only(rules: dict[str, Any], allowed: set[str] | frozenset[str], where: str) -> None:
        if unknown := sorted(set(rules) - allowed):
            raise refuse(where, f"{unknown[0]!r:.60} is not supported here")

    def _reference(self, ref: object, where: str) -> dict[str, Any]:
        if not isinstance(ref, str) or ref not in self._names:
            raise refuse(where, "$ref names no definition of this schema")
        return {"$ref": self._names[ref]}

    def _constant(self, value: object, where: str) -> dict[str, Any]:
        return {"const": self._scalar(value, where)}

    def _enumeration(self, values: object, where: str) -> dict[str, Any]:
        if not isinstance(values, list) or not values:
            raise refuse(where, "enum is not a list of values")
        return {"enum": [self._scalar(value, where) for value in values]}

    def _scalar(self, value: object, where: str) -> object:
        self._constants += 1
        if self._constants > MAX_CONSTANTS:
            raise refuse(where, f"the schema names more than {MAX_CONSTANTS} values")
        if not (value is None or isinstance(value, str | bool | int | float)):
            raise refuse(where, "a value is neither text, number, boolean nor null")
        if isinstance(value, str):
            self._name(value, where)
        return value

    @staticmethod
    def _name(text: str, where: str) -> str:
        if len(text) > MAX_NAME_CHARS:
            raise refuse(where, f"a name or value is longer than {MAX_NAME_CHARS} characters")
        return text

    def _alternatives(self, keyword: str, options: object, where: str, depth: int) -> dict[str, Any]:
        if not isinstance(options, list) or not options:
            raise refuse(where, f"{keyword} is not a list of schemas")
        if keyword == "allOf":
            if len(options) > 1:
                raise refuse(where, "allOf of several schemas is not supported")
            return self._node(options[0], f"{where}/allOf/0", depth + 1)
        return {"anyOf": [self._node(o, f"{where}/{keyword}/{i}", depth + 1) for i, o in enumerate(options)]}

    def _typed(self, rules: dict[str, Any], where: str, depth: int) -> dict[str, Any]:
        kind = rules.get("type", "object" if "properties" in rules else None)
        if isinstance(kind, list):
            self._only(rules, {"type"}, where)
            if not kind or not all(isinstance(k, str) for k in kind) or len(set(kind)) != len(kind):
                raise refuse(where, "type is not a list of different types")
            return {"anyOf": [self._typed({"type": k}, where, depth) for k in kind]}
        if not isinstance(kind, str) or kind not in _TYPES:
            raise refuse(where, "type is missing or unknown")
        self._only(rules, _KEYWORDS.get(kind, frozenset()) | {"type"}, where)
        if kind == "object":
            return self._object(rules, where, depth)
        if kind == "array":
            return self._array(rules, where, depth)
        if kind == "string":
            return self._string(rules, where)
        return {"type": kind}

    def _object(self, rules: dict[str, Any], where: str, depth: int) -> dict[str, Any]:
        properties, required = rules.get("properties", {}), rules.get("required", [])
        if not isinstance(properties, dict) or len(properties) > MAX_PROPERTIES:
            raise refuse(where, f"properties is not an object of at most {MAX_PROPERTIES}")
        if not isinstance(required, list) or any(not isinstance(n, str) or n not in properties for n in required):
            raise refuse(where, "required names something that properties does not")
        read: dict[str, Any] = {"type": "object"}
        if properties:
            read["properties"] = {
                self._name(name, where): self._node(value, f"{where}/{name[:40]}", depth + 1)
                for name, value in properties.items()
            }
            read["required"] = required
        more = rules.get("additionalProperties", not properties)
        if isinstance(more, dict):
            more = self._node(more, f"{where}/additionalProperties", depth + 1)
        elif not isinstance(more, bool):
            raise refuse(where, "additionalProperties is neither a boolean nor a schema")
        if properties or more is not True:
            read["additionalProperties"] = more
        return read

    def _array(self, rules: dict[str, Any], where: str, depth: int) -> dict[str, Any]:
        if "items" not in rules:
            raise refuse(where, "an array states its items")
        items = self._node(rules["items"], f"{where}/items", depth + 1)
        return {"type": "array", "items": items, **self._bounds(rules, "minItems", "maxItems", where)}

    def _string(self, rules: dict[str, Any], where: str) -> dict[str, Any]:
        bounds = self._bounds(rules, "minLength", "maxLength", where)
        if "format" not in rules:
            return {"type": "string", **bounds}
        if rules["format"] not in _FORMATS or bounds:
            raise refuse(where, f"format is one of {', '.join(sorted(_FORMATS))}, without a length")
        return {"type": "string", "format": rules["format"]}

    def _bounds(self, rules: dict[str, Any], low: str, high: str, where: str) -> dict[str, int]:
        bounds = {k: rules[k] for k in (low, high) if k in rules}
        if any(not isinstance(v, int) or isinstance(v, bool) or v < 0 for v in bounds.values()):
            raise refuse(where, f"{low} and {high} are whole numbers")
        if bounds.get(low, 0) > bounds.get(high, MAX_REPETITIONS):
            raise refuse(where, f"{low} is greater than {high}")
        self._repetitions += max(bounds.values(), default=0)
        if self._repetitions > MAX_REPETITIONS:
            raise refuse(where, f"the schema's lengths add up to more than {MAX_REPETITIONS}")
        return bounds
