"""Tools are strangers' text: their schemas must stop no engine, and their words must steer no grammar and no prompt."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.engine.errors import EngineRefusedError
from appliance.engine.protocol import Message, Request, Tool
from appliance.engine.schema import MAX_NODES
from appliance.engine.template import ChatTemplate
from appliance.engine.tools.families import FAMILIES
from appliance.engine.tools.offer import offer_of
from appliance.engine.wire import MAX_TOOLS, decode_request, encode_request
from tests.engine.tool_templates import TAGGED

ASK = (Message("user", "?"),)


def offered(*tools: Tool) -> str:
    found = offer_of(Request(id="1", user="u", group="g", messages=ASK, tools=tools), FAMILIES[0])
    assert found is not None
    return found.grammar


def tool(name: str, properties: dict[str, Any], **more: Any) -> Tool:
    return Tool(name, "", {"type": "object", "properties": properties, **more})


def wide(count: int) -> dict[str, Any]:
    return {f"p{n}": {"type": "string"} for n in range(count)}


def test_schemas_of_all_tools_together_have_the_bounds_of_one() -> None:
    each = 100
    few = [tool(f"t{n}", wide(each)) for n in range(MAX_NODES // (each + 1))]
    assert offered(*few)
    with pytest.raises(EngineRefusedError, match=f"tool t{len(few)}: .*more than {MAX_NODES} parts") as refused:
        offered(*few, tool(f"t{len(few)}", wide(each)))
    assert refused.value.code == "invalid_tools"


@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "object", "properties": {"a": {"$ref": "https://elsewhere.example/schema"}}},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "(a+)+$"}}},
        {"type": "object", "properties": {"a": {"type": "string", "maxLength": 1 << 30}}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "items": {"type": "string"}}}},
        {"type": "array", "items": {"type": "string"}},
    ],
    ids=["elsewhere", "pattern", "very long", "an array behind a name", "an array"],
)
def test_a_schema_that_cannot_be_held_to_is_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(EngineRefusedError) as refused:
        offered(Tool("t", "", parameters))
    assert refused.value.code == "invalid_tools"


def test_names_and_values_write_no_rules_of_their_own() -> None:
    hostile = '"\n root ::= "owned" #'
    grammar = offered(tool("t", {hostile: {"enum": [hostile]}}, required=[hostile]))
    rules = [line.split(" ::= ")[0] for line in grammar.splitlines()]
    assert rules.count("root") == 1
    assert len(rules) == len(set(rules)), "no rule is defined twice"


def test_more_tools_than_are_allowed_do_not_reach_the_engine() -> None:
    asked = Request(id="1", user="u", group="g", messages=ASK, tools=tuple(Tool(f"t{n}") for n in range(MAX_TOOLS + 1)))
    with pytest.raises(EngineRefusedError, match="tools"):
        decode_request(encode_request(asked))


def test_descriptions_that_fill_the_prompt_end_in_a_refusal_and_not_in_memory() -> None:
    deep: Any = {"type": "string"}
    for _ in range(400):
        deep = {"type": "array", "items": deep}
    template = ChatTemplate(TAGGED)
    with pytest.raises(EngineRefusedError, match="too long"):
        template.render(ASK, tuple(Tool(f"t{n}", "x" * 500_000) for n in range(MAX_TOOLS)))
    assert template.render(ASK, (Tool("t", "", {"type": "object", "properties": {"a": deep}}),))
