from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from appliance.engine.errors import EngineBusyError, EngineRefusedError, EngineUnavailableError
from appliance.engine.protocol import Admitted, End, Energy, Event, Request, Timing, Token, Usage
from tests.bench.engine.face import create_app

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.anyio
END = End("stop", Usage(3, 0, 2), Timing(1, 2, 3), Energy(1, "estimated", 30, 1))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class ScriptedClient:
    """An engine's client that answers everything alike, or refuses."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.asked: list[Request] = []
        self._refusal = refusal

    async def generate(self, request: Request) -> AsyncGenerator[Event, None]:
        self.asked.append(request)
        if self._refusal is not None:
            raise self._refusal
        for event in (Admitted(0, 3, 7), Token("a"), Token("b"), END):
            yield event


async def _post(client: ScriptedClient, body: dict[str, object]) -> httpx.Response:
    transport = httpx.ASGITransport(create_app(client))  # type: ignore[arg-type]  # the double has what is called
    async with httpx.AsyncClient(transport=transport, base_url="http://face") as http:
        return await http.post("/v1/completions", json=body)


async def test_a_whole_answer_has_text_and_usage_and_people_are_told_apart() -> None:
    client = ScriptedClient()
    answer = (await _post(client, {"prompt": "hi", "user": "officer", "ignore_eos": True})).json()
    assert answer["choices"][0] == {"index": 0, "text": "ab", "finish_reason": "stop"}
    assert answer["usage"]["completion_tokens"] == 2
    assert client.asked[0].user == "officer"


async def test_a_stream_ends_as_openai_s_does() -> None:
    client = ScriptedClient()
    lines = (await _post(client, {"prompt": "hi", "stream": True})).text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert [chunk["choices"][0]["text"] for chunk in chunks] == ["a", "b", ""]
    assert chunks[-1]["usage"]["prompt_tokens"] == 3


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (EngineBusyError(3), 429),
        (EngineRefusedError("context_length_exceeded", "too long"), 400),
        (EngineUnavailableError("gone"), 503),
    ],
)
async def test_refusals_have_the_status_that_a_client_of_openai_knows(refusal: Exception, status: int) -> None:
    assert (await _post(ScriptedClient(refusal), {"prompt": "hi"})).status_code == status


async def test_a_body_without_a_text_is_refused_before_the_engine_hears_of_it() -> None:
    client = ScriptedClient()
    assert (await _post(client, {"prompt": [1, 2]})).status_code == 400
    assert client.asked == []
