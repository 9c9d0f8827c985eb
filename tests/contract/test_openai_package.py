"""The unmodified ``openai`` package against the gateway."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import openai
import pytest

from appliance.audit.verify import verify_log
from tests.gateway.doubles import ORIGIN
from tests.gateway.issuer import new_key

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

pytestmark = pytest.mark.network
ASK: list[ChatCompletionMessageParam] = [{"role": "user", "content": "what is this?"}]


def test_models_are_listed_and_retrieved(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["small"]
    model = client.models.retrieve("small")
    assert model.owned_by == "Test Producer"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("large")


def test_a_chat_is_answered_with_usage_and_a_receipt(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="small", messages=ASK, seed=5, temperature=0)
    assert answer.choices[0].message.content == "Hello there."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens == 16
    receipt = answer.model_extra["sovereign"]["receipt"]  # type: ignore[index]  # the extension key
    assert receipt["sampler"]["seed"] == 5
    assert receipt["log"]["origin"] == ORIGIN
    assert receipt["model"]["signers"] == ["officer-one", "officer-two"]


def test_a_chat_streams_and_ends_with_a_receipt(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="small", messages=ASK, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello there."
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert "receipt" in chunks[-1].model_extra["sovereign"]  # type: ignore[index]  # the extension key
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_carries_usage_when_asked(client: openai.OpenAI) -> None:
    options: Any = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="small", messages=ASK, stream=True, stream_options=options))
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3
    assert "receipt" in chunks[-1].model_extra["sovereign"]  # type: ignore[index]  # the extension key
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_completions_are_answered_whole_and_streamed(client: openai.OpenAI) -> None:
    whole = client.completions.create(model="small", prompt="once upon", max_tokens=2)
    assert (whole.choices[0].text, whole.choices[0].finish_reason) == ("Hello there", "length")
    stream = client.completions.create(model="small", prompt="once upon", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream if chunk.choices) == "Hello there."


def test_log_probabilities_of_a_chat_come_whole_and_streamed(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "small", "messages": ASK, "logprobs": True, "top_logprobs": 2}
    whole = client.chat.completions.create(**asked).choices[0]
    assert whole.logprobs is not None
    content = whole.logprobs.content
    assert content is not None
    assert "".join(entry.token for entry in content) == whole.message.content
    assert {(entry.logprob, len(entry.top_logprobs)) for entry in content} == {(-0.2877, 2)}
    assert [bytes(entry.bytes or ()).decode() for entry in content] == [entry.token for entry in content]
    streamed = [
        entry
        for chunk in client.chat.completions.create(**asked, stream=True)
        for choice in chunk.choices
        if choice.logprobs is not None
        for entry in choice.logprobs.content or ()
    ]
    assert streamed == content
    bare = client.chat.completions.create(model="small", messages=ASK)
    assert bare.choices[0].logprobs is None


def test_log_probabilities_of_a_completion_say_where_in_the_text_they_are(client: openai.OpenAI) -> None:
    whole = client.completions.create(model="small", prompt="once upon", logprobs=1)
    found = whole.choices[0].logprobs
    assert found is not None
    assert "".join(found.tokens or ()) == whole.choices[0].text == "Hello there."
    assert found.text_offset == [0, 5, 11]
    assert found.top_logprobs == [{"other 0": -2.0}] * 3
    stream = client.completions.create(model="small", prompt="once upon", logprobs=1, stream=True)
    pieces = [chunk.choices[0].logprobs for chunk in stream if chunk.choices and chunk.choices[0].text]
    assert [piece.text_offset for piece in pieces if piece is not None] == [[0], [5], [11]]


def test_several_choices_are_requests_of_their_own_with_seeds_and_receipts(client: openai.OpenAI, running: Any) -> None:
    before = len(running.model.requests)
    answer = client.chat.completions.create(model="small", messages=ASK, n=3, seed=2**31 - 2)
    asked = running.model.requests[before:]
    assert sorted(request.seed for request in asked) == [0, 2**31 - 2, 2**31 - 1]
    assert len({request.id for request in asked}) == 3
    assert [(c.index, c.message.content, c.finish_reason) for c in answer.choices] == [
        (index, "Hello there.", "stop") for index in range(3)
    ]
    receipts = answer.model_extra["sovereign"]["receipts"]  # type: ignore[index]  # the extension key
    assert [receipt["sampler"]["seed"] for receipt in receipts] == [2**31 - 2, 2**31 - 1, 0]
    assert len({receipt["log"]["request_index"] for receipt in receipts}) == 3
    assert answer.usage is not None
    assert answer.usage.completion_tokens == sum(receipt["usage"]["completion_tokens"] for receipt in receipts) == 9


@pytest.mark.parametrize("usage", [False, True])
def test_several_choices_stream_beside_each_other(client: openai.OpenAI, *, usage: bool) -> None:
    options: Any = {"include_usage": usage}
    chunks = list(client.completions.create(model="small", prompt="hi", n=2, stream=True, stream_options=options))
    texts, ends = {0: "", 1: ""}, {}
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            if choice.finish_reason:
                ends[choice.index] = chunk.model_extra["sovereign"]["receipt"]["log"]["answer_index"]  # type: ignore[index]  # the extension key
    assert texts == {0: "Hello there.", 1: "Hello there."}
    assert len(set(ends.values())) == 2
    assert len({chunk.id for chunk in chunks}) == 1
    assert [chunk.usage.completion_tokens for chunk in chunks if chunk.usage] == ([6] if usage else [])


def test_structured_output_reaches_the_engine_through_the_packages_own_helper(
    client: openai.OpenAI, running: Any
) -> None:
    schema = {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]}
    client.chat.completions.create(
        model="small",
        messages=ASK,
        response_format={"type": "json_schema", "json_schema": {"name": "term", "schema": schema, "strict": True}},
        stop=["\n\n"],
        max_completion_tokens=40,
    )
    asked = running.model.requests[-1]
    assert (asked.json_schema, asked.stop, asked.max_tokens) == (schema, ("\n\n",), 40)


def test_the_streaming_helper_of_the_package_works(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="small", messages=ASK) as stream:
        stream.until_done()
        final = stream.get_final_completion()
    assert final.choices[0].message.content == "Hello there."


def test_leaving_a_stream_stops_the_engine(client: openai.OpenAI, running: Any) -> None:
    closed = running.model.closed
    running.model.pause = 0.01
    try:
        stream = client.chat.completions.create(
            model="small", messages=[{"role": "user", "content": "endless"}], stream=True
        )
        for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        stream.close()
        deadline = time.monotonic() + 30
        while running.model.closed == closed:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        running.model.pause = 0.0


@pytest.mark.anyio
async def test_the_async_client_works_as_well(running: Any) -> None:
    token = running.keys.token("analyst", "analysts")
    async with openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key=token, max_retries=0) as client:
        stream = await client.chat.completions.create(model="small", messages=ASK, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == "Hello there."


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def refused(
    running: Any, kind: type[openai.APIStatusError], token: str | None = None, **changes: Any
) -> openai.APIStatusError:
    with running.client(token) as client, pytest.raises(kind) as caught:
        client.chat.completions.create(**{"model": "small", "messages": ASK, **changes})
    return caught.value


def test_tokens_that_are_not_ours_are_authentication_errors(running: Any) -> None:
    keys, past = running.keys, int(time.time()) - 60
    tokens = {
        "no token": "not-a-token",
        "another key": keys.token("analyst", "analysts", key=new_key("realm-key")),
        "expired": keys.token("analyst", "analysts", exp=past),
        "another issuer": keys.token("analyst", "analysts", iss="https://elsewhere.test/realms/sovereign"),
        "another audience": keys.token("analyst", "analysts", aud=["account"]),
        "an id token": keys.token("analyst", "analysts", typ="ID"),
    }
    for name, token in tokens.items():
        error = refused(running, openai.AuthenticationError, token)
        assert error.code == "invalid_token", name


def test_a_model_of_other_groups_is_a_permission_error(running: Any) -> None:
    error = refused(running, openai.PermissionDeniedError, running.keys.token("clerk", "clerks"), model="large")
    assert (error.code, error.param) == ("model_not_allowed", "model")


def test_a_wrong_request_is_an_unprocessable_entity_error(running: Any) -> None:
    assert refused(running, openai.UnprocessableEntityError, n=9).param == "n"
    assert refused(running, openai.UnprocessableEntityError, temperature=9).param == "temperature"
    long: list[Any] = [{"role": "user", "content": "x" * 5000}]
    assert refused(running, openai.UnprocessableEntityError, messages=long).code == "context_length_exceeded"


def test_documents_are_asked_for_in_the_extra_body_and_a_site_without_any_says_so(client: openai.OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.chat.completions.create(
            model="small", messages=[{"role": "user", "content": "hello"}], extra_body={"documents": {}}
        )
    assert (refused.value.code, refused.value.param) == ("no_documents", "documents")


def test_a_used_up_quota_and_a_full_queue_are_rate_limit_errors_with_a_time(running: Any) -> None:
    error = refused(running, openai.RateLimitError, running.keys.token("clerk", "clerks"))
    assert error.code == "quota_exceeded"
    assert int(error.response.headers["retry-after"]) >= 1
    busy: list[Any] = [{"role": "user", "content": "busy"}]
    error = refused(running, openai.RateLimitError, messages=busy)
    assert (error.code, error.response.headers["retry-after"]) == ("engine_busy", "7")


def test_an_engine_that_is_leaving_is_a_server_error(running: Any) -> None:
    running.model.up = False
    try:
        error = refused(running, openai.InternalServerError)
    finally:
        running.model.up = True
    assert (error.status_code, error.code) == (503, "engine_unavailable")


def test_an_answer_that_breaks_off_in_the_middle_is_an_error_not_an_end(client: openai.OpenAI) -> None:
    broken: list[Any] = [{"role": "user", "content": "break"}]
    stream = client.chat.completions.create(model="small", messages=broken, stream=True)
    heard = []
    with pytest.raises(openai.APIError):
        heard.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="small", messages=broken)


def test_the_log_of_all_this_verifies(client: openai.OpenAI, running: Any) -> None:
    answer = client.chat.completions.create(model="small", messages=ASK)
    place = answer.model_extra["sovereign"]["receipt"]["log"]  # type: ignore[index]  # the extension key
    report = verify_log(running.audit_folder, vkeys=running.audit_keys.vkeys(ORIGIN))
    assert report.size >= place["size"] > place["answer_index"] > place["request_index"]
