from __future__ import annotations

import json

import pytest

from appliance.engine.llama_server.completion import Piece, Prepared, body, failure, piece, token_ids
from appliance.engine.protocol import Failed, Request

PREPARED = Prepared((1, 2), ("!",), 7, None)
LAST = {
    "content": "",
    "stop": True,
    "stop_type": "limit",
    "tokens_predicted": 5,
    "tokens_evaluated": 9,
    "timings": {"cache_n": 0},
}


def _ask(**more: object) -> Request:
    return Request(id="1", user="u", group="g", prompt="hi", **more)  # type: ignore[arg-type]


def _line(said: object) -> str:
    return "data: " + json.dumps(said)


def test_the_samplers_are_those_of_our_own_engine_and_no_default_of_the_server_is_left() -> None:
    asked = body(_ask(temperature=0.5, top_p=0.9), PREPARED)
    assert asked["samplers"] == ["temperature", "top_k", "top_p"]
    assert (asked["top_k"], asked["min_p"]) == (1024, 0.0)
    assert body(_ask(top_p=1.0), PREPARED)["top_k"] == 0
    assert body(_ask(top_k=5, top_p=0.9), PREPARED)["top_k"] == 5


def test_a_seed_that_means_random_to_the_server_is_never_sent() -> None:
    assert body(_ask(), Prepared((1,), (), 0xFFFF_FFFF, None))["seed"] == 0


def test_no_name_of_a_person_or_group_reaches_the_server() -> None:
    asked = Request(id="request-17", user="analyst@site", group="planning", prompt="hi")
    text = json.dumps(body(asked, PREPARED))
    assert not any(word in text for word in ("request-17", "analyst", "planning"))


def test_text_and_the_end_are_read() -> None:
    assert piece(_line({"content": "é", "stop": False})) == Piece("é")
    assert piece(_line(LAST)) == Piece("", "length", 9, 0, 5)
    assert piece(_line({**LAST, "stop_type": "eos"})) == Piece("", "stop", 9, 0, 5)


@pytest.mark.parametrize("line", ["", ": ping", "event: message", "data: [DONE]"])
def test_lines_that_say_nothing_are_passed_over(line: str) -> None:
    assert piece(line) is None


@pytest.mark.parametrize(
    "said",
    [
        [],
        "text",
        {"content": 1},
        {"content": "\ud800"},
        {**LAST, "stop_type": "whim"},
        {**LAST, "tokens_predicted": -1},
        {**LAST, "tokens_predicted": True},
        {**LAST, "tokens_evaluated": 1 << 40},
        {**LAST, "timings": {"cache_n": "all"}},
        {name: value for name, value in LAST.items() if name != "tokens_evaluated"},
    ],
)
def test_an_answer_that_is_no_answer_is_an_error_and_not_a_wrong_count(said: object) -> None:
    with pytest.raises(ValueError, match="llama-server"):
        piece(_line(said))


def test_an_error_is_told_by_its_kind_and_its_words_go_nowhere() -> None:
    said = {"error": {"code": 400, "type": "exceed_context_size_error", "message": "the secret prompt"}}
    found = failure(json.dumps(said))
    assert found.code == "context_length_exceeded"
    assert "secret" not in found.message
    assert piece("error: " + json.dumps(said["error"])) == found
    assert piece(_line(said)) == found


@pytest.mark.parametrize("data", ["", "[]", "{}", '{"error": 3}', '{"error": {"type": ["x"]}}', "not json"])
def test_an_error_of_no_known_kind_fails_the_request(data: str) -> None:
    assert failure(data) == Failed("decode_failed", "llama-server could not finish this request")


def test_tokens_are_whole_numbers_in_a_list() -> None:
    assert token_ids(b'{"tokens": [1, 2]}') == [1, 2]
    for wrong in (b'{"tokens": {"1": 2}}', b'{"tokens": ["1"]}', b'{"tokens": [-1]}', b"[]", b"{}"):
        with pytest.raises(ValueError, match="llama-server"):
            token_ids(wrong)
