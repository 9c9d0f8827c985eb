from __future__ import annotations

import asyncio
import json

import pytest

from appliance.engine.errors import EngineUnavailableError
from appliance.engine.llama_server.completion import Piece
from appliance.engine.llama_server.upstream import Upstream
from appliance.engine.protocol import Failed
from tests.engine.scripted_http import Scripted, listening

pytestmark = pytest.mark.anyio
LAST = {"content": "", "stop": True, "stop_type": "eos", "tokens_predicted": 1, "tokens_evaluated": 3, "timings": {}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _data(said: object) -> bytes:
    return f"data: {json.dumps(said)}\n\n".encode()


async def _answer(server: Scripted) -> list[Piece | Failed]:
    async with listening(server) as path:
        upstream = Upstream(path)
        try:
            async with upstream.complete({"prompt": [1]}) as pieces:
                return [piece async for piece in pieces]
        finally:
            await upstream.aclose()


async def test_pieces_come_one_by_one_and_the_last_says_why_it_ended() -> None:
    server = Scripted([_data({"content": "o", "stop": False}), b": ping\n\n", _data(LAST)])
    assert await _answer(server) == [Piece("o"), Piece("", "stop", 3, 0, 1)]
    assert json.loads(server.sent) == {"prompt": [1]}


async def test_a_refusal_is_told_by_its_kind() -> None:
    said = json.dumps({"error": {"type": "exceed_context_size_error", "message": "words of a prompt"}})
    (found,) = await _answer(Scripted([said.encode()], "400 Bad Request"))
    assert isinstance(found, Failed)
    assert found.code == "context_length_exceeded"


@pytest.mark.parametrize(
    "parts",
    [
        [_data({"content": "o", "stop": False})],
        [_data({**LAST, "tokens_predicted": -5})],
        [b"data: {\n\n"],
        [b"data: " + b"x" * (2 << 20) + b"\n\n"],
    ],
)
async def test_an_answer_that_stops_or_is_none_is_no_answer(parts: list[bytes]) -> None:
    with pytest.raises(EngineUnavailableError):
        await _answer(Scripted(parts))


async def test_a_server_that_is_not_there_is_not_ready() -> None:
    async with listening(Scripted([])) as path:
        upstream = Upstream(path.with_name("nobody"))
        assert not await upstream.ready()
        await upstream.aclose()


async def test_tokens_are_asked_for_as_the_caller_wants_them() -> None:
    server = Scripted([b'{"tokens": [2, 7]}'])
    async with listening(server) as path:
        upstream = Upstream(path)
        found = await asyncio.to_thread(upstream.tokenize, "hi", control=False, begin=True)
        await upstream.aclose()
    assert found == [2, 7]
    assert json.loads(server.sent) == {"content": "hi", "add_special": True, "parse_special": False}


async def test_tokens_that_are_none_are_no_answer() -> None:
    async with listening(Scripted([b'{"tokens": ["rm"]}'])) as path:
        upstream = Upstream(path)
        with pytest.raises(EngineUnavailableError):
            await asyncio.to_thread(upstream.tokenize, "hi", control=True, begin=False)
        await upstream.aclose()
