"""A stranger's JSON schema must not be able to stop the engine: readings of one text that multiply are refused."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.engine.errors import EngineRefusedError
from appliance.engine.grammar import grammar_of
from appliance.engine.readings import MAX_READINGS

TEXT: dict[str, Any] = {"type": "string"}


def array(items: Any, least: int = 1) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least}


def named(name: str, value: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {name: value}, "required": [name]}


def defined(**definitions: Any) -> dict[str, Any]:
    """The first definition, which may refer to the others."""
    return {"$ref": f"#/$defs/{next(iter(definitions))}", "$defs": definitions}


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def doubling(levels: int) -> dict[str, Any]:
    steps = {f"d{i}": {"anyOf": [array(ref(f"d{i + 1}")), array(ref(f"d{i + 1}"), 2)]} for i in range(levels)}
    return defined(**steps, **{f"d{levels}": TEXT})


@pytest.mark.parametrize(
    "schema",
    [
        defined(a={"anyOf": [array(ref("a")), array(ref("a"), 2)]}),
        defined(a={"anyOf": [named("x", ref("a")), named("x", ref("b"))]}, b={"anyOf": [ref("a"), {"type": "null"}]}),
        defined(a=array(ref("b")), b={"anyOf": [ref("c"), array(ref("a"), 2)]}, c=array(ref("a"), 3)),
        defined(
            a={"type": "object", "properties": {"x": ref("a")}, "additionalProperties": ref("a")},
        ),
        doubling(8),
        {"anyOf": [{"anyOf": [array(TEXT, n)] * 12} for n in range(12)]},
        {"enum": [f"word {n}" for n in range(MAX_READINGS + 1)]},
    ],
    ids=["itself twice", "by turns", "round about", "further properties", "halving", "beside", "many words"],
)
def test_readings_that_multiply_are_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(EngineRefusedError, match="readings") as refused:
        grammar_of(schema)
    assert refused.value.code == "invalid_json_schema"


def test_a_hundred_definitions_that_grow_slowly_are_refused_too() -> None:
    rounds = {f"d{i}": {"anyOf": [array(ref(f"d{(i - 1) % 100}")), TEXT]} for i in range(100)}
    rounds["d0"] = {"anyOf": [array(ref("d99")), array(TEXT)]}
    with pytest.raises(EngineRefusedError, match="readings"):
        grammar_of(defined(**rounds))


@pytest.mark.parametrize(
    "schema",
    [
        defined(tree=named("kids", array(ref("tree"), 0))),
        defined(list={"anyOf": [named("next", ref("list")), {"type": "null"}]}),
        defined(value={"anyOf": [TEXT, {"type": "number"}, array(ref("value"), 0), named("v", ref("value"))]}),
        {"anyOf": [named("cat", TEXT), named("dog", TEXT), named("kids", array(named("name", TEXT)))]},
        defined(**{f"d{i}": named("next", ref(f"d{i + 1}")) for i in range(40)}, d40=TEXT),
        {"enum": [f"word {n}" for n in range(MAX_READINGS)]},
        {"type": ["string", "number", "null"]},
        {"type": "object", "properties": {f"p{n}": TEXT for n in range(MAX_READINGS)}},
        doubling(6),
    ],
)
def test_schemas_as_programs_write_them_are_accepted(schema: dict[str, Any]) -> None:
    assert "root ::= " in grammar_of(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": []},
        {"type": ["null"] * 100_000},
        {"type": [["null"]]},
        {"type": [{}]},
        {"type": "object", "properties": {"a": TEXT}, "required": [["a"]]},
        {"type": "object", "properties": {"a": TEXT}, "required": [{}]},
    ],
)
def test_a_list_of_something_else_is_refused_and_not_a_defect(schema: dict[str, Any]) -> None:
    with pytest.raises(EngineRefusedError) as refused:
        grammar_of(schema)
    assert refused.value.code == "invalid_json_schema"
