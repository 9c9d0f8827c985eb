"""The terminal's side of the API: streams, refusals, untrusted text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from appliance.cli.chat import _receipt_line
from appliance.cli.chat_api import Answer, SignedOutError, ask, models, printable
from appliance.errors import NotAllowedError, SovereignError, UnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


def client(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    return httpx.Client(base_url="https://assistant.example", transport=httpx.MockTransport(answer))


def stream(*chunks: dict[str, Any]) -> httpx.Response:
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return httpx.Response(200, text=": ping\n\n" + "".join(lines) + "data: [DONE]\n\n")


def delta(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"delta": {"content": text}, "finish_reason": None}], **more}


def test_an_answer_streams_and_ends_with_its_receipt() -> None:
    end = {"model": "m", "choices": [{"delta": {}, "finish_reason": "stop"}], "sovereign": {"receipt": {"a": 1}}}
    sent: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return stream(delta(""), delta("Par"), delta("is"), end, {"choices": [], "usage": {}})

    answer = Answer()
    with client(reply) as http:
        pieces = list(ask(http, "token", "m", [{"role": "user", "content": "?"}], answer))
    assert pieces == ["Par", "is"]
    assert (answer.text, answer.finish_reason, answer.receipt, answer.model) == ("Paris", "stop", {"a": 1}, "m")
    assert sent[0].headers["Authorization"] == "Bearer token"
    assert json.loads(sent[0].content)["stream"] is True


def test_an_answer_that_breaks_off_is_an_error_and_what_came_is_kept() -> None:
    answer = Answer()
    reply = stream(delta("Par"), {"error": {"message": "the engine went away"}})
    with client(lambda _: reply) as http, pytest.raises(UnavailableError, match="the engine went away"):
        list(ask(http, "token", "m", [], answer))
    assert answer.text == "Par"


def test_neither_a_reason_nor_a_receipt_can_steer_the_terminal() -> None:
    reply = stream({"error": {"message": "gone\x1b]52;c;aGk=\x07"}})
    with client(lambda _: reply) as http, pytest.raises(UnavailableError) as broken:
        list(ask(http, "token", "m", [], Answer()))
    assert broken.value.cause == "the answer broke off: gone]52;c;aGk="
    assert "\x1b" not in _receipt_line({"model": {"name": "m\x1b[2J", "signers": ["a\x1b[1A"]}})


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, UsageError),
        (401, SignedOutError),
        (403, NotAllowedError),
        (404, UsageError),
        (429, UnavailableError),
        (500, SovereignError),
        (503, UnavailableError),
    ],
)
def test_every_refusal_becomes_an_error_with_the_gateways_words(status: int, error: type[SovereignError]) -> None:
    refusal = httpx.Response(status, json={"error": {"message": "the reason"}})
    with client(lambda _: refusal) as http:
        with pytest.raises(error, match="the reason"):
            models(http, "token")
        with pytest.raises(error, match="the reason"):
            list(ask(http, "token", "m", [], Answer()))


def test_a_refusal_without_words_names_its_status() -> None:
    with client(lambda _: httpx.Response(403, text="<html>")) as http, pytest.raises(NotAllowedError, match="403"):
        models(http, "token")


def test_a_gateway_that_does_not_answer_is_unavailable() -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused", request=request)

    with client(fail) as http, pytest.raises(UnavailableError, match="connection refused"):
        models(http, "token")


def test_a_models_text_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b]52;c;aGk=\x07b\r\x9b31mc\x7f\x00") == "a]52;c;aGk=b31mc"
    assert printable("line\n\ttab ünï 漢字") == "line\n\ttab ünï 漢字"
