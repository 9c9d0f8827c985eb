"""Grammar for calls on llama.cpp itself: a model of random weights can say nothing but what it was offered."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

import pytest

from appliance.engine.batching import BatchingEngine
from appliance.engine.energy import DeclaredDraw
from appliance.engine.errors import EngineRefusedError
from appliance.engine.llama import LlamaContext
from appliance.engine.metrics import EngineMetrics
from appliance.engine.prompt import PromptReader
from appliance.engine.protocol import End, Event, Message, Request, Tool, ToolCall
from appliance.engine.template import ChatTemplate
from tests.engine.small_model import write
from tests.engine.tool_templates import BARE, TAGGED

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = {"type": "object", "properties": {"kind": {"enum": ["rain", "snow"]}}, "required": ["kind"]}
TOOLS = (Tool("weather", "by kind", KINDS), Tool("time", "of day"))


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaContext]:
    fd = os.open(write(tmp_path_factory.mktemp("model") / "small.gguf"), os.O_RDONLY)
    made = LlamaContext(fd, context_tokens=2048, threads=1, budget_mib=400, slots=2)
    yield made
    made.close()
    os.close(fd)


def ask(context: LlamaContext, template: str, choice: str, seed: int, tools: tuple[Tool, ...] = TOOLS) -> list[Event]:
    engine = BatchingEngine(
        context,
        PromptReader(context, ChatTemplate(template)),
        slots=2,
        queue_limit=2,
        draw=DeclaredDraw(busy=30, idle=10),
        metrics=EngineMetrics(),
    )
    request = Request(
        id="1",
        user="u",
        group="g",
        messages=(Message("user", "is it cold?"),),
        tools=tools,
        tool_choice=choice,
        parallel_calls=False,
        temperature=1.5,
        seed=seed,
        max_tokens=200,
    )

    async def all_of_it() -> list[Event]:
        return [event async for event in engine.submit(request)]

    engine.start()
    try:
        return asyncio.run(all_of_it())
    finally:
        engine.stop()


@pytest.mark.parametrize("template", [TAGGED, BARE], ids=["tagged", "bare"])
@pytest.mark.parametrize("choice", ["required", "weather"])
def test_a_call_that_must_be_made_is_made_and_fits_its_schema(
    context: LlamaContext, template: str, choice: str
) -> None:
    for seed in range(4):
        *_, called, end = ask(context, template, choice, seed)
        assert isinstance(called, ToolCall)
        assert isinstance(end, End)
        assert end.finish_reason == "stop"
        assert called.name in ({"weather", "time"} if choice == "required" else {choice})
        arguments = json.loads(called.arguments)
        assert arguments in ([{"kind": "rain"}, {"kind": "snow"}] if called.name == "weather" else [{}])


@pytest.mark.parametrize("template", [TAGGED, BARE], ids=["tagged", "bare"])
def test_free_answers_may_call_or_not_and_end_in_order(context: LlamaContext, template: str) -> None:
    *_, end = ask(context, template, "auto", 3)
    assert isinstance(end, End)


def test_a_schema_that_is_nothing_but_itself_is_refused_before_it_is_used(context: LlamaContext) -> None:
    endless = {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/a"}}}
    with pytest.raises(EngineRefusedError) as refused:
        ask(context, TAGGED, "auto", 0, (Tool("t", "", endless),))
    assert refused.value.code == "invalid_json_schema"
