"""Calls of tools: offered by the template's own words, held to their schemas by grammar, read back whole, never run."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from appliance.engine.errors import EngineRefusedError
from appliance.engine.prompt import PromptReader
from appliance.engine.protocol import End, Event, Message, Request, Token, Tool, ToolCall
from appliance.engine.template import ChatTemplate
from appliance.engine.tools.families import FAMILIES, Family
from appliance.engine.tools.offer import offer_of
from appliance.engine.tools.reader import CallReader
from appliance.engine.wire_events import decode_event, encode_event
from tests.engine.tool_templates import BARE, TAGGED
from tests.unit.engine.scripted_context import CONTROLS, TURN, ScriptedContext, scripted_engine

WEATHER = Tool("weather", "by city", {"type": "object", "properties": {"city": {"type": "string"}}})
TIME = Tool("time")
ASK = (Message("user", "which is it?"),)


def request(*tools: Tool, messages: tuple[Message, ...] = ASK, **more: Any) -> Request:
    return Request(id="1", user="u", group="g", messages=messages, tools=tools, **more)


def family(name: str) -> Family:
    return next(one for one in FAMILIES if one.name == name)


def read(name: str, text: str, pieces: int) -> list[str | tuple[str, Any]]:
    """What is told of ``text`` that comes in pieces of that length; texts that follow each other as one."""
    reader = CallReader(family(name))
    told: list[Any] = []
    parts = [text[at : at + pieces] for at in range(0, len(text), pieces)]
    for found in (*(one for part in parts for one in reader.push(part)), *reader.finish()):
        if isinstance(found, ToolCall):
            told.append((found.name, json.loads(found.arguments)))
        elif told and isinstance(told[-1], str):
            told[-1] += found
        else:
            told.append(found)
    return told


@pytest.mark.parametrize("pieces", [1, 2, 5, 1000])
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '<tool_call>{"name": "a", "arguments": {"x": "\\\\\\"}</tool_call>"}}</tool_call>',
            [("a", {"x": '\\"}</tool_call>'})],
        ),
        ('<tool_call>{"name": "a", "arguments": {}} no mark', []),
        ("no call at all", ["no call at all"]),
        ("a < b, <tool_cal", ["a < b, <tool_cal"]),
        ('<tool_call>\n{"name": "time", "arguments": {}}\n</tool_call>', [("time", {})]),
        (
            """Let me see.<tool_call>{"name": "a", "arguments": {"x": 1}}</tool_call>
<tool_call>{"name": "b", "arguments": {}}</tool_call>
""",
            ["Let me see.", ("a", {"x": 1}), ("b", {})],
        ),
        ('<tool_call>{"name": "a", "arguments": {"x": "</tool_call>"}}</tool_call>', [("a", {"x": "</tool_call>"})]),
        ('<tool_call>{"name": "a", "argum', []),
    ],
    ids=["escapes", "no mark", "text", "nearly a mark", "one", "two after text", "the mark in a text", "cut off"],
)
def test_calls_between_marks_are_told_whole_however_the_text_is_cut(text: str, told: list[Any], pieces: int) -> None:
    assert read("tagged", text, pieces) == told


@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_a_bare_call_is_the_whole_answer_and_text_is_no_call(pieces: int) -> None:
    assert read("bare", '{"name": "time", "parameters": {}}', pieces) == [("time", {})]
    assert read("bare", "It is noon {I think}.", pieces) == ["It is noon {I think}."]
    assert read("bare", ' \n{"name": "time", "parameters": {}}\n', pieces) == [("time", {})]
    assert read("bare", " \n{so far}", pieces) == [" \n{so far}"]


@pytest.mark.parametrize(
    "said", ['{"x": "\\ud800"}', '{"x": 1e999}', '{"x" : 1.0}'], ids=["half a pair", "huge", "blanks"]
)
def test_arguments_are_told_as_the_model_wrote_them(said: str) -> None:
    """What cannot be written anew is a client's to judge: it reaches it, and the stream does not break."""
    (call,) = CallReader(family("tagged")).push(f'<tool_call>{{"name": "a", "arguments": {said} }}</tool_call>')
    assert isinstance(call, ToolCall)
    assert call.arguments == said
    assert decode_event(encode_event(call).decode()) == call


@pytest.mark.parametrize("said", ['{"x": NaN}', '{"x": -Infinity}', "[1]", '{"x": 1', '{"x": 1}}', "{x: 1}"])
def test_what_is_no_json_is_no_call_here_and_none_from_an_engine(said: str) -> None:
    text = f'<tool_call>{{"name": "a", "arguments": {said}}}</tool_call>'
    assert not [one for one in read("tagged", text, 3) if isinstance(one, tuple)]
    with pytest.raises(ValueError, match=r"JSON|none|Expecting|Extra|property"):
        decode_event(encode_event(ToolCall("call_1", "a", said)).decode())


@pytest.mark.parametrize(("source", "name"), [(TAGGED, "tagged"), (BARE, "bare")])
def test_a_template_that_words_tools_calls_and_results_is_of_a_family(source: str, name: str) -> None:
    template = ChatTemplate(source)
    assert template.family == family(name)
    call = ToolCall("call_1", "weather", '{"city": "Bern"}')
    turns = (*ASK, Message("assistant", "", tool_calls=(call,)), Message("tool", "sunny", tool_call_id="call_1"))
    text = template.render(turns, (WEATHER,))
    assert all(word in text for word in ("by city", '"city": "Bern"', "sunny"))
    assert "by city" not in template.render(ASK)


@pytest.mark.parametrize(
    "source",
    [
        "{% for m in messages %}{{ m.content }}{% endfor %}",
        "{# <tool_call> </tool_call> #}{% for m in messages %}{{ m.content }}{% endfor %}",
    ],
    ids=["none", "marks alone"],
)
def test_a_template_without_tools_refuses_them_and_still_answers(source: str) -> None:
    template = ChatTemplate(source)
    assert template.family is None
    with pytest.raises(EngineRefusedError) as refused:
        PromptReader(ScriptedContext(), template).offer(request(TIME))
    assert refused.value.code == "tools_unsupported"
    assert PromptReader(ScriptedContext(), template).offer(request(TIME, tool_choice="none")) is None
    history = (*ASK, Message("assistant", "", tool_calls=(ToolCall("call_1", "time", "{}"),)))
    for told in (history, (*ASK, Message("tool", "noon", tool_call_id="call_1"))):
        with pytest.raises(EngineRefusedError, match="to tell of") as refused:
            PromptReader(ScriptedContext(), template).offer(request(messages=told))
        assert refused.value.code == "tools_unsupported"


def test_a_control_token_in_a_tool_or_a_call_stays_plain_characters() -> None:
    """A tool's description is a stranger's text like any other, and so are a call's arguments, escaped or not."""
    reader = PromptReader(ScriptedContext(context_tokens=4096), ChatTemplate(TAGGED))
    control = next(text for text, token in CONTROLS.items() if token == TURN)
    hostile = Tool("t", f"x{control}", {"type": "object", "properties": {control: {"type": "string"}}})
    escaped = "".join(f"\\u{ord(character):04x}" for character in control)
    call = ToolCall("call_1", "t", f'{{"a": "{escaped}"}}')
    turns = (*ASK, Message("assistant", "", tool_calls=(call,)), Message("tool", control, tool_call_id="call_1"))
    plain = reader.tokens(request(Tool("t", "x"), messages=ASK))
    tokens = reader.tokens(request(hostile, messages=turns))
    assert plain.count(TURN) == tokens.count(TURN) == 0
    assert bytes(token for token in tokens if token < 256).decode().count(control) == 4


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"tools": (TIME, TIME)}, "invalid_tools"),
        ({"tools": (TIME,), "tool_choice": "weather"}, "invalid_tools"),
        ({"tools": (TIME, Tool("auto"))}, "invalid_tools"),
        ({"tools": (Tool("none"),), "tool_choice": "required"}, "invalid_tools"),
        ({"tools": (TIME,), "json_schema": {"type": "object"}}, "tools_unsupported"),
        ({"tools": (Tool("t", "", {"type": "string"}),)}, "invalid_tools"),
        ({"tools": (Tool("t", "", {"type": "object", "patternProperties": {}}),)}, "invalid_tools"),
    ],
)
def test_what_cannot_be_promised_is_refused_and_names_the_tool(more: dict[str, Any], code: str) -> None:
    asked = Request(id="1", user="u", group="g", messages=ASK, **more)
    with pytest.raises(EngineRefusedError) as refused:
        offer_of(asked, family("tagged"))
    assert refused.value.code == code


def test_definitions_of_two_tools_that_have_one_name_are_kept_apart() -> None:
    tools = [
        Tool(name, "", {"type": "object", "properties": {"v": {"$ref": "#/$defs/d"}}, "$defs": {"d": {"const": name}}})
        for name in ("first", "second")
    ]
    found = offer_of(request(*tools), family("tagged"))
    assert found is not None
    rules = dict(line.split(" ::= ", 1) for line in found.grammar.splitlines())
    assert [rule for name, rule in sorted(rules.items()) if name.startswith("def-")] == [
        '"\\"first\\""',
        '"\\"second\\""',
    ]


def test_an_answer_with_a_call_ends_after_it_is_told() -> None:
    context = ScriptedContext('So: <tool_call>\n{"name": "time", "arguments": {}}\n</tool_call>', context_tokens=2048)
    engine = scripted_engine(context, template=ChatTemplate(TAGGED))
    engine.start()
    try:
        events = asyncio.run(_all(engine, request(TIME)))
    finally:
        engine.stop()
    assert "".join(event.text for event in events if isinstance(event, Token)) == "So: "
    assert [event.name for event in events if isinstance(event, ToolCall)] == ["time"]
    assert isinstance(events[-1], End)


async def _all(engine: Any, asked: Request) -> list[Event]:
    return [event async for event in engine.submit(asked)]
