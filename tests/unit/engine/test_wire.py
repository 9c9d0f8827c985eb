from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.engine.errors import EngineRefusedError
from appliance.engine.protocol import (
    Admitted,
    End,
    Energy,
    Failed,
    Message,
    Request,
    Spared,
    Timing,
    Token,
    TokenLogprob,
    Usage,
)
from appliance.engine.wire import decode_request, encode_request
from appliance.engine.wire_events import decode_event, encode_event

END = End("stop", Usage(3, 0, 2), Timing(0.1, 2.5, 3.0), Energy(1.5, "estimated", 35.0, 0.5))


LIKELY = TokenLogprob(b"\xc3", -0.25, ((b"\xc3", -0.25), (b"", -9999.0)))


EVENTS = (
    Admitted(2, 9, 7),
    Token("é\u2028\n"),
    Token("é", (LIKELY, TokenLogprob(b"\xa9", 0.0))),
    END,
    Failed("code", "message"),
)


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_survives_the_wire_as_one_line(event: Any) -> None:
    line = encode_event(event)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert decode_event(line.decode()) == event


@pytest.mark.parametrize(
    "found", [["zz", -1.0, []], ["61", 0.5, []], ["61", "-1", []], ["61", -1.0, [["62", -1.0]] * 21], ["61", -1.0]]
)
def test_log_probabilities_that_are_none_are_not_taken_from_an_engine(found: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_event(json.dumps({"type": "token", "text": "a", "logprobs": [found]}))


def test_the_lines_are_those_of_the_contract() -> None:
    assert json.loads(encode_event(Admitted(2, 9, 7))) == {
        "type": "admitted",
        "prompt_tokens": 9,
        "queued": 2,
        "seed": 7,
    }
    assert set(json.loads(encode_event(END))) == {"type", "finish_reason", "usage", "timing", "energy", "spared"}


@given(prompt=st.text(max_size=50), stop=st.lists(st.text(min_size=1, max_size=5), max_size=3))
def test_a_prompt_request_survives_the_wire(prompt: str, stop: list[str]) -> None:
    request = Request(id="1", user="u", group="g", prompt=prompt, stop=tuple(stop), temperature=0.0)
    assert decode_request(encode_request(request)) == request


def test_a_conversation_survives_the_wire() -> None:
    request = Request(
        id="1", user="u", group="g", messages=(Message("user", "?"),), seed=1 << 62, json_schema={"type": "null"}
    )
    assert decode_request(encode_request(request)) == request


def test_scopes_weight_and_replay_survive_the_wire() -> None:
    messages = (Message("system", "rules", "site"), Message("system", "brief", "group"), Message("user", "?"))
    request = Request(id="1", user="u", group="g", messages=messages, weight=2.5, priority=-1, replay=True)
    assert decode_request(encode_request(request)) == request
    request = Request(id="1", user="u", group="g", prompt="rules and a question", site_characters=5, group_characters=9)
    assert decode_request(encode_request(request)) == request


def test_a_message_of_wider_scope_after_a_narrower_one_is_refused() -> None:
    """Else the site's words would be computed after a user's, and shared with them in them."""
    messages = (Message("user", "my secret"), Message("system", "rules", "site"))
    with pytest.raises(EngineRefusedError, match="scopes of messages narrow"):
        decode_request(encode_request(Request(id="1", user="u", group="g", messages=messages)))


GOOD: dict[str, Any] = {"id": "1", "user": "u", "group": "g", "prompt": "x"}


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"prompt": None}, "body"),
        ({"messages": [{"role": "user", "content": "x"}]}, "body"),
        ({"prompt": None, "messages": []}, "messages"),
        ({"prompt": None, "messages": [{"role": "function", "content": "x"}]}, "messages.0.role"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"seed": -1}, "seed"),
        ({"stop": [""]}, "stop.0"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"surprise": 1}, "surprise"),
        ({"weight": 0}, "weight"),
        ({"weight": 1e9}, "weight"),
        ({"site_characters": -1}, "site_characters"),
        ({"prompt": None, "messages": [{"role": "user", "content": "x", "scope": "all"}]}, "messages.0.scope"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], where: str) -> None:
    with pytest.raises(EngineRefusedError, match=rf"^{where}: ") as refused:
        decode_request(json.dumps({**GOOD, **change}).encode())
    assert refused.value.code == "invalid_request"


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b'{"id": "\xff"}'])
def test_a_body_that_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(EngineRefusedError):
        decode_request(body)


def test_an_unknown_event_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown event"):
        decode_event('{"type": "new"}')


LAST_LINE: dict[str, Any] = {
    "type": "end",
    "finish_reason": "stop",
    "usage": {"prompt_tokens": 1, "cached_tokens": 0, "completion_tokens": 1},
    "timing": {"queue_ms": 0.0, "first_token_ms": 1, "decode_ms": 1.5},
    "energy": {"joules": 0.5, "method": "estimated", "watts": 35.0, "idle_joules": 0.1},
}


_TOLD: list[dict[str, Any]] = [{"tier": "pinned", "scope": "site", "tokens": 9}]
SPARED = LAST_LINE | {"usage": {"prompt_tokens": 20, "cached_tokens": 9, "completion_tokens": 1}, "spared": _TOLD}


def test_an_engine_says_where_cached_tokens_lay_or_does_not() -> None:
    told = decode_event(json.dumps(SPARED))
    assert isinstance(told, End)
    assert told.spared == (Spared("pinned", "site", 9),)
    assert decode_event(encode_event(told).decode()) == told
    untold = decode_event(json.dumps({name: value for name, value in SPARED.items() if name != "spared"}))
    assert isinstance(untold, End)
    assert (untold.usage.cached_tokens, untold.spared) == (9, ())


@pytest.mark.parametrize(
    "event",
    [
        [],
        {"type": "admitted", "queued": 0, "prompt_tokens": -5, "seed": 1},
        {"type": "token", "text": ["a"]},
        {"type": "token", "text": "\ud800"},
        LAST_LINE | {"finish_reason": "because"},
        LAST_LINE | {"usage": {"prompt_tokens": -(10**9), "cached_tokens": 0, "completion_tokens": 1}},
        LAST_LINE | {"usage": {"prompt_tokens": True, "cached_tokens": 0, "completion_tokens": 1}},
        LAST_LINE | {"timing": {"queue_ms": -1.0, "first_token_ms": 1, "decode_ms": 1}},
        LAST_LINE | {"energy": {"joules": float("nan"), "method": "estimated", "watts": 35.0, "idle_joules": 0.1}},
        SPARED | {"spared": [{"tier": "pinned", "scope": "site", "tokens": 8}]},
        SPARED | {"spared": [{"tier": "pinned", "scope": "site", "tokens": -9}]},
        SPARED | {"spared": [{"tier": "attic", "scope": "site", "tokens": 9}]},
        SPARED | {"spared": [{"tier": "pinned", "scope": "planet", "tokens": 9}]},
        SPARED | {"spared": [{"tier": "pinned", "scope": "site", "tokens": 4.5}] * 2},
        SPARED | {"spared": [*([{"tier": "disk", "scope": "site", "tokens": 4}] * 2), _TOLD[0] | {"tokens": 1}]},
        SPARED | {"spared": [{"tier": "pinned", "scope": "site", "tokens": 0}] * 13},
        SPARED | {"spared": {"pinned": 9}},
        LAST_LINE | {"energy": {"joules": 1.0, "method": "guessed", "watts": 35.0, "idle_joules": 0.1}},
    ],
)
def test_an_engine_gone_wrong_cannot_give_quota_back_or_skew_the_log(event: Any) -> None:
    assert decode_event(json.dumps(LAST_LINE))
    with pytest.raises(ValueError, match="engine"):
        decode_event(json.dumps(event))
