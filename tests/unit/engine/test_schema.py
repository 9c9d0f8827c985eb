from __future__ import annotations

from typing import Any

import pytest

from appliance.engine.errors import EngineRefusedError
from appliance.engine.grammar import grammar_of
from appliance.engine.schema import MAX_CONSTANTS, MAX_DEPTH, MAX_NODES, MAX_PROPERTIES, MAX_REPETITIONS

TEXT: dict[str, Any] = {"type": "string"}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _nested(depth: int) -> dict[str, Any]:
    schema = TEXT
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        _object(name=TEXT, age={"type": "integer"}),
        {"type": "array", "items": {"enum": ["a", 1, None, True]}, "minItems": 1, "maxItems": 3},
        {"anyOf": [{"type": "null"}, {"type": "number"}]},
        {"type": ["string", "null"]},
        {"type": "string", "format": "date-time"},
        {"type": "string", "minLength": 1, "maxLength": 8},
        _object(**{"$ref": TEXT}),
        {"const": 'a "quoted" \\ word'},
        {"title": "T", "description": "D", "$schema": "x", **_object(a={"allOf": [TEXT], "default": "x"})},
        {"type": "object", "properties": {"a": TEXT}, "additionalProperties": {"type": "integer"}},
        {"$ref": "#/$defs/Tree", "$defs": {"Tree": _object(kids={"type": "array", "items": {"$ref": "#/$defs/Tree"}})}},
    ],
)
def test_a_supported_schema_becomes_a_grammar_with_a_root(schema: dict[str, Any]) -> None:
    assert "root ::= " in grammar_of(schema)


@pytest.mark.parametrize(
    "schema",
    [
        [],
        {},
        {"type": "string", "pattern": "^a+$"},
        {"type": "integer", "minimum": 3},
        {"type": "object", "patternProperties": {}},
        {"type": "array"},
        {"type": "array", "items": TEXT, "uniqueItems": True},
        {"type": "string", "minLength": 3, "maxLength": 2},
        {"type": "string", "minLength": -1},
        {"type": "string", "maxLength": True},
        {"type": "string", "format": "regex"},
        {"enum": []},
        {"enum": [{"a": 1}]},
        {"allOf": [TEXT, TEXT]},
        {"not": TEXT},
        {"$ref": "https://example.org/schema.json"},
        {"$ref": "#/$defs/missing"},
        {"$ref": "#/properties/a", "properties": {"a": TEXT}},
        {"$defs": [], "type": "null"},
        {"type": "object", "properties": {"a": TEXT}, "required": ["b"]},
        _nested(MAX_DEPTH + 1),
        _object(**{f"p{i}": TEXT for i in range(MAX_PROPERTIES + 1)}),
        {"anyOf": [TEXT] * (MAX_NODES + 1)},
        {"enum": list(range(MAX_CONSTANTS + 1))},
        _object(a={"type": "string", "maxLength": MAX_REPETITIONS}, b={"type": "string", "maxLength": 1}),
        {"type": "array", "items": TEXT, "maxItems": 1 << 63},
    ],
)
def test_a_schema_that_could_not_be_kept_or_bounded_is_refused(schema: Any) -> None:
    with pytest.raises(EngineRefusedError) as refused:
        grammar_of(schema)
    assert refused.value.code == "invalid_json_schema"


def test_a_quotation_mark_in_a_name_cannot_end_its_literal() -> None:
    grammar = grammar_of(_object(**{'x" | root ::= "owned': {"type": "null"}}))
    line = next(line for line in grammar.splitlines() if line.startswith("x-root-owned-kv"))
    assert r'"\"x\\\" | root ::= \\\"owned\"" space' in line


def test_strings_hold_no_raw_control_character() -> None:
    assert r"[^\"\\\x7F\x00-\x1F]".replace(r"\"", '"') in grammar_of(TEXT)


def test_definitions_cannot_take_the_name_of_a_rule() -> None:
    grammar = grammar_of({"$ref": "#/$defs/string", "$defs": {"string": {"type": "integer"}}})
    assert "root ::= integer" in grammar
    assert "string ::=" not in grammar
