"""What an embedding model reads before a text: as its record says, of questions and of passages, and told apart."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING

import pytest

from appliance.engine.client import ModelInfo
from appliance.engine.errors import EngineRefusedError
from appliance.engine.protocol import Vectors
from appliance.errors import UnavailableError
from appliance.memory.errors import TooManyTokensError
from appliance.memory.vector_search import Meaning
from appliance.memory.vectors import AT_ONCE, Embedder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from typing import Any

    from appliance.engine.protocol import Event, Request

PROMPTS = {"query": "query: ", "document": "passage: "}
MOST = 40


class FakeEngine:
    """Takes texts of ``MOST`` characters; each vector is the text's length."""

    def __init__(self, **record: Any) -> None:
        self.record = {"role": "embedding", **record}
        self.read: list[str] = []

    async def model(self) -> ModelInfo:
        return ModelInfo(self.record, {"digest": "sha256:0"}, MOST, {}, 1)

    async def generate(self, request: Request) -> AsyncGenerator[Event, None]:
        texts = request.inputs or ()
        for number, text in enumerate(texts):
            if len(text) > MOST:
                said = f"text {number} has {len(text)} tokens, and the model takes {MOST}"
                raise EngineRefusedError("context_length_exceeded", said)
        self.read += texts
        yield Vectors(tuple(struct.pack("<f", float(len(text))) for text in texts))


def _asked(engine: FakeEngine, texts: list[str], use: Any) -> tuple[str, ...]:
    return asyncio.run(Embedder(engine, "u").vectors(texts, use))


@pytest.mark.parametrize("use", ["query", "document"])
def test_what_the_record_says_stands_before_each_text(use: str) -> None:
    engine = FakeEngine(prompts=PROMPTS)
    texts = [f"text {number}" for number in range(AT_ONCE + 1)]
    made = _asked(engine, texts, use)
    assert engine.read == [PROMPTS[use] + text for text in texts]
    assert made == tuple(f"[{len(text)}]" for text in engine.read)


def test_a_model_without_prompts_reads_texts_as_they_are() -> None:
    for record in ({}, {"prompts": None}, {"prompts": {"query": "query: "}}):
        engine = FakeEngine(**record)
        _asked(engine, ["a text"], "document")
        assert engine.read == ["a text"]


def test_vectors_that_were_made_after_other_prompts_are_another_models() -> None:
    def model(**record: Any) -> str:
        return asyncio.run(Embedder(FakeEngine(**record), "u").model())

    plain = model()
    assert plain == "sha256:0", "as it was before records had any"
    assert model(prompts={"query": "", "document": ""}) == plain
    told = [model(prompts=prompts) for prompts in (PROMPTS, PROMPTS | {"query": "ask: "}, PROMPTS | {"document": ""})]
    assert len({plain, *told}) == 4
    assert model(prompts=dict(reversed(PROMPTS.items()))) == told[0]


def test_what_the_prompt_takes_of_the_models_room_is_counted() -> None:
    engine = FakeEngine(prompts=PROMPTS)
    with pytest.raises(TooManyTokensError) as refused:
        _asked(engine, ["short", "x" * (MOST - len(PROMPTS["query"]) + 1)], "query")
    assert refused.value.number == 1
    assert _asked(engine, ["x" * (MOST - len(PROMPTS["query"]))], "query")


def test_a_question_is_looked_up_by_its_vector_what_made_it_and_what_it_has_in_common_with_all_texts() -> None:
    async def meaning(**record: Any) -> Meaning:
        return await Embedder(FakeEngine(**record), "u").meaning("ask")

    assert asyncio.run(meaning()) == Meaning("[3]", "sha256:0")
    found = asyncio.run(meaning(prompts=PROMPTS, unrelated_percent=81))
    assert (found.vector, found.unrelated) == ("[10]", 81)


@pytest.mark.parametrize(
    "record",
    [
        {"prompts": ["query: "]},
        {"prompts": {"query": 1}},
        {"prompts": {"query": "x" * 201}},
        {"unrelated_percent": 100},
        {"unrelated_percent": -1},
        {"unrelated_percent": "81"},
        {"unrelated_percent": 0.81},
    ],
)
def test_what_an_engine_says_of_its_record_is_looked_at_before_it_is_used(record: dict[str, Any]) -> None:
    engine = FakeEngine(**record)
    with pytest.raises(UnavailableError, match="no gate lets pass"):
        _asked(engine, ["a text"], "query")
    assert engine.read == []


def test_a_model_that_makes_no_vectors_is_not_asked() -> None:
    engine = FakeEngine(role="chat")
    with pytest.raises(UnavailableError, match="makes no vectors"):
        _asked(engine, ["a text"], "query")
    assert engine.read == []
