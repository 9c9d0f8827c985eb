"""The generator's own clients, against servers that say what a test wants."""

from __future__ import annotations

import json

import pytest

from appliance.engine.protocol import Admitted, End, Energy, Failed, Timing, Token, Usage
from appliance.engine.wire import decode_request
from appliance.engine.wire_events import encode_event
from tests.bench.engine.completions import EngineCompletions, FailedError, LlamaServerCompletions, ask
from tests.bench.engine.lines import RefusedError
from tests.engine.scripted_http import Scripted, listening

pytestmark = pytest.mark.anyio
END = End("length", Usage(9, 4, 2), Timing(1, 2, 3), Energy(1, "estimated", 30, 1))
EVENTS = [encode_event(event) for event in (Admitted(0, 9, 7), Token("a"), Token("b"), END)]
BODY = {"prompt": "hi", "max_tokens": 2, "user": "analyst", "group": "g"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_an_engine_s_answer_is_timed_and_counted() -> None:
    server = Scripted(EVENTS)
    async with listening(server) as path:
        answer = await ask(EngineCompletions(path), BODY)
    assert (answer.prompt_tokens, answer.cached_tokens, answer.tokens) == (9, 4, 2)
    assert 0 < answer.first_s <= answer.total_s
    sent = decode_request(server.sent)
    assert (sent.user, sent.group, sent.prompt) == ("analyst", "g", "hi")


async def test_lines_that_arrive_in_pieces_and_together_are_read_whole() -> None:
    joined = b"".join(EVENTS)
    async with listening(Scripted([joined[:30], joined[30:31], joined[31:]])) as path:
        assert (await ask(EngineCompletions(path), BODY)).tokens == 2


async def test_the_peer_s_answer_is_read_from_its_own_stream() -> None:
    token = {"choices": [{"index": 0, "text": "a", "finish_reason": None}]}
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 3}}
    said = [b": ping\n\n", *(f"data: {json.dumps(c)}\n\n".encode() for c in (token, {"choices": [], "usage": usage}))]
    server = Scripted([*said, b"data: [DONE]\n\n"])
    async with listening(server) as path:
        answer = await ask(LlamaServerCompletions(path), BODY)
    assert (answer.prompt_tokens, answer.cached_tokens, answer.tokens) == (9, 3, 2)
    assert json.loads(server.sent)["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("parts", [EVENTS[:2], [*EVENTS[:2], encode_event(Failed("decode_failed", "why"))]])
async def test_an_answer_that_fails_or_just_ends_counts_as_failed(parts: list[bytes]) -> None:
    async with listening(Scripted(parts)) as path:
        with pytest.raises(FailedError):
            await ask(EngineCompletions(path), BODY)


async def test_a_refusal_is_no_answer() -> None:
    async with listening(Scripted([b"{}"], "429 Too Many Requests")) as path:
        with pytest.raises(RefusedError, match="429"):
            await ask(EngineCompletions(path), BODY)
