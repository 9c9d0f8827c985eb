from __future__ import annotations

import pytest

from appliance.engine.protocol import Admitted, End, Energy, Failed, Timing, Token, Usage
from tests.bench.engine import shape

END = End("length", Usage(9, 4, 5), Timing(1, 2, 3), Energy(1, "estimated", 30, 1))


def test_a_body_that_any_generator_sends_becomes_a_request() -> None:
    asked = shape.request(
        {"prompt": "hi", "n_predict": 7, "temperature": 0, "ignore_eos": True, "user": "a", "group": "g", "stop": "!"}
    )
    assert (asked.prompt, asked.max_tokens, asked.temperature) == ("hi", 7, 0.0)
    assert (asked.user, asked.group, asked.stop) == ("a", "g", ("!",))


def test_two_requests_never_have_one_id() -> None:
    assert shape.request({"prompt": "hi"}).id != shape.request({"prompt": "hi"}).id


@pytest.mark.parametrize("prompt", [None, 3, ["hi"]])
def test_a_prompt_that_is_no_text_is_refused(prompt: object) -> None:
    with pytest.raises(ValueError, match="prompt"):
        shape.request({"prompt": prompt})


def test_events_become_the_chunks_that_a_client_of_openai_reads() -> None:
    assert shape.chunk(Admitted(0, 9, 7)) is None
    token = shape.chunk(Token("x"))
    assert token is not None
    assert token["choices"][0] == {"index": 0, "text": "x", "finish_reason": None}
    last = shape.chunk(END)
    assert last is not None
    assert last["choices"][0]["finish_reason"] == "length"
    assert last["usage"]["prompt_tokens_details"]["cached_tokens"] == 4
    assert shape.chunk(Failed("decode_failed", "why")) == {"error": {"code": "decode_failed", "message": "why"}}


def test_a_whole_answer_has_text_and_counts() -> None:
    whole = shape.completion("yes", END)
    assert whole["choices"][0]["text"] == "yes"
    assert whole["usage"]["total_tokens"] == 14
