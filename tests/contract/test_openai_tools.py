"""Calls of tools through the unmodified ``openai`` package: told whole and streamed, logged by name, never run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai
import pytest

if TYPE_CHECKING:
    from tests.contract.conftest import Site

pytestmark = pytest.mark.network
CALL: Any = [{"role": "user", "content": "call"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "by city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
TIME: Any = {"type": "function", "function": {"name": "time"}}


def test_a_call_comes_whole_and_its_result_goes_back(client: openai.OpenAI, running: Site) -> None:
    choice = client.chat.completions.create(model="small", messages=CALL, tools=[WEATHER]).choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    (call,) = choice.message.tool_calls or ()
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Bern"})
    back: Any = [*CALL, choice.message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    answer = client.chat.completions.create(model="small", messages=back, tools=[WEATHER]).choices[0]
    assert (answer.finish_reason, answer.message.content) == ("stop", "Hello there.")
    told = running.model.requests[-1].messages
    assert told is not None
    assert [(m.role, m.content, [c.name for c in m.tool_calls], m.tool_call_id) for m in told] == [
        ("user", "call", [], ""),
        ("assistant", "", ["weather"], ""),
        ("tool", "sunny", [], call.id),
    ]


def test_calls_stream_as_deltas_that_the_package_puts_together(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="small", messages=CALL, tools=[WEATHER, TIME], stream=True)
    chunks = [chunk.choices[0] for chunk in stream]
    calls = [call for choice in chunks for call in choice.delta.tool_calls or ()]
    assert [(c.index, c.id, c.function.name if c.function else "") for c in calls] == [
        (0, "call_0", "weather"),
        (1, "call_1", "time"),
    ]
    assert chunks[-1].finish_reason == "tool_calls"


def test_the_choice_and_parallel_calls_reach_the_engine(client: openai.OpenAI, running: Site) -> None:
    named: Any = {"type": "function", "function": {"name": "weather"}}
    for choice, told in (("none", "none"), ("auto", "auto"), (named, "weather")):
        client.chat.completions.create(
            model="small",
            messages=[{"role": "user", "content": "hi"}],
            tools=[WEATHER],
            tool_choice=choice,
            parallel_tool_calls=False,
        )
        asked = running.model.requests[-1]
        assert (asked.tool_choice, asked.parallel_calls) == (told, False)
        assert asked.tools[0].parameters == WEATHER["function"]["parameters"]


def test_an_answer_that_calls_what_was_not_offered_is_none(client: openai.OpenAI) -> None:
    """The engine reads what a stranger's model writes; the gateway does not take its word for a tool's name."""
    named: Any = {"type": "function", "function": {"name": "weather"}}
    with pytest.raises(openai.InternalServerError, match="not offered"):
        client.chat.completions.create(model="small", messages=CALL, tools=[WEATHER, TIME], tool_choice=named)


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "function", "function": {"name": "no such\nname"}}]},
        {"tools": [TIME] * 65},
        {"tool_choice": "required"},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "user", "content": "x", "tool_call_id": "1"}]},
        {"messages": [{"role": "assistant"}]},
    ],
    ids=["name", "too many", "none to call", "of no call", "of a user", "nothing said"],
)
def test_what_is_no_tool_call_is_refused(client: openai.OpenAI, more: dict[str, Any]) -> None:
    with pytest.raises(openai.UnprocessableEntityError):
        client.chat.completions.create(**{"model": "small", "messages": CALL, **more})


def test_the_log_counts_names_of_tools_and_has_no_arguments(client: openai.OpenAI, running: Site) -> None:
    secret: Any = {"type": "function", "function": {"name": "counted_tool", "description": "not for the log"}}
    client.chat.completions.create(model="small", messages=CALL, tools=[secret])
    written = b"".join(file.read_bytes() for file in running.audit_folder.rglob("*") if file.is_file())
    assert b'"tool_calls":{"counted_tool":1}' in written.replace(b" ", b"")
    assert b"not for the log" not in written
    assert b"Bern" not in written
