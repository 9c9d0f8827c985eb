"""A few of the two hundred questions: what `make bench-engine` asks in full."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from appliance.engine.client import EngineClient
from tests.engine import oracle
from tests.engine.llama_server_build import VARIANT, build_llama_server
from tests.engine.questions import questions
from tests.engine.served import Sizes, our_engine, plain_llama_server

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = 6  # two of each language
TOKENS = 16
THREADS = 1
LOGPROB_ROUNDING = 0.001


def test_our_engine_says_what_llama_server_says_alone_token_for_token_and_in_company_but_for_close_calls(
    model_file: Path,
) -> None:
    prompts = [question.prompt for question in questions()[:SAMPLE]]
    server = build_llama_server()

    async def compare(theirs: Path, ours: Path) -> None:
        async with oracle.Oracle(theirs) as reference_server, EngineClient(ours) as client:
            references = [await reference_server.reference(prompt, TOKENS) for prompt in prompts]
            answers = [await oracle.replay(client, prompt, TOKENS) for prompt in prompts]
            pairs = list(zip(references, answers, strict=True))
            assert [(r.text, a) for r, a in pairs if not oracle.same(r, a)] == []
            assert max(oracle.logprob_differences(pairs)) < LOGPROB_ROUNDING
            places = [place for r in references for place in await reference_server.places(r, every=4)]
            assert len(places) >= SAMPLE * 2
            assert oracle.faults(await oracle.forced(client, places, at_once=8)) == []

    with (
        plain_llama_server(model_file, server, oracle.flags(THREADS)) as theirs,
        our_engine(model_file, Sizes(threads=THREADS), variant=VARIANT) as ours,
    ):
        asyncio.run(compare(theirs.socket, ours.socket))
