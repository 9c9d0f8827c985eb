"""A replay gives the same logits: beside other requests, and by another engine of which `GET /model` says the same."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from appliance.engine.client import EngineClient
from appliance.engine.pace import PROCESSOR
from appliance.engine.protocol import End, Request, Token
from tests.engine.served import Sizes, described, our_engine
from tests.engine.small_model import write

if TYPE_CHECKING:
    from pathlib import Path

SIZES = Sizes(context_tokens=1024, threads=2, memory_mib=300, parallel=4)
PROMPT = "Which officer approves models for zone seven? " * 12


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("model") / "small.gguf")


async def _answer(client: EngineClient, prompt: str, user: str, *, replay: bool) -> list[Token]:
    request = Request(
        id=user, user=user, group="g", prompt=prompt, max_tokens=12, temperature=0.0, top_logprobs=3, replay=replay
    )
    events = [event async for event in client.generate(request)]
    assert isinstance(events[-1], End)
    if replay:
        assert events[-1].usage.cached_tokens == 0
    return [event for event in events if isinstance(event, Token)]


async def _replays(socket: Path) -> list[list[Token]]:
    """One by itself, and one that comes in the middle of others, one of whom asks the same."""
    async with EngineClient(socket) as client:
        alone = await _answer(client, PROMPT, "analyst", replay=True)
        others = [_answer(client, PROMPT[n:], f"user {n}", replay=False) for n in range(4)]
        beside, *_ = await asyncio.gather(_answer(client, PROMPT, "analyst", replay=True), *others)
        return [alone, beside]


def test_a_replay_gives_the_same_logits_by_what_the_engine_says_of_itself(small: Path) -> None:
    found, said = [], []
    for _ in range(2):
        with our_engine(small, SIZES) as served:
            found += asyncio.run(_replays(served.socket))
            said.append({name: described(served.socket)[name] for name in ("batch_tokens", "threads", "variant")})
    assert said[0] == said[1]
    assert (said[0]["batch_tokens"], said[0]["threads"]) == (PROCESSOR.batch_tokens, SIZES.threads)
    assert len(PROMPT) > PROCESSOR.batch_tokens, "the prompt is split"
    assert any(token.logprobs for token in found[0])
    assert all(tokens == found[0] for tokens in found)
