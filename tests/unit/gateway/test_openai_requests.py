from __future__ import annotations

import json
from typing import Any

import pytest

from appliance.gateway.body import MAX_VALUES, parsed, validated
from appliance.gateway.errors import UnprocessableError
from appliance.gateway.openai_requests import ChatRequest, CompletionRequest

CHAT: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}


def chat(**changes: Any) -> ChatRequest:
    return validated({**CHAT, **changes}, ChatRequest)


@pytest.mark.parametrize(
    "changes",
    [
        {"n": 9},
        {"n": 0},
        {"tools": [{"type": "function"}]},
        {"tool_choice": "sometimes"},
        {"top_logprobs": 21, "logprobs": True},
        {"logit_bias": {"5": 1.0}},
        {"frequency_penalty": 0.5},
        {"presence_penalty": -1},
        {"temperature": 2.5},
        {"temperature": "0.5"},
        {"top_p": 0},
        {"max_tokens": 0},
        {"max_tokens": True},
        {"seed": 1.5},
        {"stop": ["a", "b", "c", "d", "e"]},
        {"stop": ""},
        {"messages": []},
        {"messages": [{"role": "function", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
        {"a_parameter_of_next_year": 1},
        {"stream": "yes"},
        {"model": ""},
    ],
)
def test_what_is_not_meant_is_refused_rather_than_ignored(changes: dict[str, Any]) -> None:
    with pytest.raises(UnprocessableError) as refused:
        chat(**changes)
    assert refused.value.param is not None
    assert refused.value.param.split(".")[0] == next(iter(changes))


TOOL = {"type": "function", "function": {"name": "t"}}


@pytest.mark.parametrize(
    "changes",
    [
        *({"tools": [{"type": "function", "function": {"name": name}}]} for name in ("none", "auto", "required")),
        {"tool_choice": {"type": "function", "function": {"name": "none"}}, "tools": [TOOL]},
        {"messages": [{"role": "tool", "content": "x", "tool_call_id": "<start_of_turn>"}]},
        {"messages": [{"role": "tool", "content": "x", "tool_call_id": "a\n"}]},
        {
            "messages": [
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "<eos>", **TOOL, "function": {"name": "t", "arguments": ""}}],
                }
            ]
        },
        {"tools": [{"type": "function", "function": {"name": f"t{n}"}} for n in range(33)]},
    ],
)
def test_names_and_ids_that_would_mean_something_else_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UnprocessableError) as refused:
        chat(**changes)
    assert str(refused.value.param).split(".")[0] == next(iter(changes))


def test_neutral_values_of_what_is_not_implemented_are_accepted() -> None:
    chat(n=1, tools=[], tool_choice="none", logit_bias={}, frequency_penalty=0, presence_penalty=0.0, logprobs=False)


def test_log_probabilities_are_asked_for_in_each_operations_own_words() -> None:
    completion = {"model": "small", "prompt": "hi"}
    assert chat().sampling(4096).top_logprobs is None
    assert chat(logprobs=False).sampling(4096).top_logprobs is None
    assert chat(logprobs=True).sampling(4096).top_logprobs == 0
    assert chat(logprobs=True, top_logprobs=20).sampling(4096).top_logprobs == 20
    assert validated(completion, CompletionRequest).sampling(4096).top_logprobs is None
    assert validated({**completion, "logprobs": 0}, CompletionRequest).sampling(4096).top_logprobs == 0
    with pytest.raises(UnprocessableError):
        validated({**completion, "logprobs": 6}, CompletionRequest)
    with pytest.raises(UnprocessableError, match="top_logprobs goes with logprobs"):
        chat(top_logprobs=3)


def test_text_parts_are_joined_and_the_developer_is_the_system() -> None:
    asked = chat(
        messages=[
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        ]
    )
    assert [m.plain() for m in asked.messages] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "ab"},
    ]


def test_the_newer_name_of_the_token_limit_wins_and_the_context_bounds_it() -> None:
    assert chat(max_tokens=5, max_completion_tokens=9).sampling(4096).max_tokens == 9
    assert chat(max_tokens=10**9).sampling(4096).max_tokens == 4096
    assert chat().sampling(1024).max_tokens == 512


def test_every_seed_fits_the_engine_and_the_same_seed_gives_the_same() -> None:
    for seed in (-1, 0, 2**31, 2**63 - 1):
        settled = chat(seed=seed).sampling(4096).seed
        assert 0 <= settled < 2**31
        assert chat(seed=seed).sampling(4096).seed == settled


def test_stop_and_json_output_reach_the_sampler() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    assert chat(response_format=wanted).sampling(4096).json_schema == schema
    assert chat(response_format={"type": "json_object"}).sampling(4096).json_schema == {"type": "object"}
    assert chat(response_format={"type": "text"}).sampling(4096).json_schema is None
    assert chat(stop="x").sampling(4096).stop == ("x",)
    assert chat(stop=["x", "y"]).sampling(4096).stop == ("x", "y")


def test_json_schema_needs_a_schema() -> None:
    with pytest.raises(UnprocessableError):
        chat(response_format={"type": "json_schema"})


def test_a_completion_takes_one_prompt() -> None:
    assert validated({"model": "m", "prompt": ["one"]}, CompletionRequest).text() == "one"
    for prompt in (["one", "two"], [], [1, 2], None):
        with pytest.raises(UnprocessableError):
            validated({"model": "m", "prompt": prompt}, CompletionRequest)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b'\xff\xfe{\x00"\x00a\x00"\x00:\x001\x00}\x00',
    ],
    ids=["empty", "cut", "twice", "nan", "not-utf8", "surrogate", "deep-lists", "deep-objects", "utf16"],
)
def test_json_that_parsers_disagree_about_is_refused(raw: bytes) -> None:
    with pytest.raises(UnprocessableError) as refused:
        parsed(raw)
    assert refused.value.code == "invalid_json"


def test_a_body_of_very_many_values_is_refused_before_any_is_validated() -> None:
    with pytest.raises(UnprocessableError, match="values"):
        parsed(b'{"model":"small","messages":[{"role":"user","content":[' + b"1," * MAX_VALUES + b"1]}]}")


def test_commas_in_texts_are_no_values() -> None:
    content = 'a\\",' * MAX_VALUES
    assert parsed(json.dumps({"content": content}).encode()) == {"content": content}
