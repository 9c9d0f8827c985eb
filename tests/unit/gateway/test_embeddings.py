"""Vectors through the gateway: logged before, closed after, charged and receipted like any answer."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from pydantic import ValidationError

from appliance.audit.commitment import commit
from appliance.engine.protocol import Admitted, End, Energy, Event, Timing, Usage, Vectors
from appliance.gateway.embedding_routes import EmbeddingRequest
from appliance.gateway.sampling import UNDRAWN
from appliance.gateway.steps import Failed, Finished, Started

pytestmark = pytest.mark.anyio
VECTORS = (struct.pack("<2f", 1.0, 0.0), struct.pack("<2f", 0.0, 1.0))
TEXTS = ("one", "two")


async def _vectors(bench: Any) -> Any:
    async def generate(request: Any) -> Any:
        bench.engine.requests.append(request)
        events: list[Event] = [
            Admitted(0, 6, 0),
            Vectors(VECTORS),
            End("stop", Usage(6, 0, 0), Timing(1, 2, 0), Energy(0.5, "estimated", 35, 0.1)),
        ]
        for event in events:
            yield event

    bench.engine.generate = generate
    answer = await bench.start(messages=None, inputs=TEXTS, sampling=UNDRAWN)
    steps = [step async for step in answer.steps()]
    await answer.task
    return answer, steps


async def test_the_request_is_logged_before_and_the_receipt_commits_to_texts_and_vectors(bench: Any) -> None:
    answer, steps = await _vectors(bench)
    assert [type(step) for step in steps] == [Started, Finished]
    assert bench.log.kinds() == ["request", "answer"]
    receipt = steps[-1].receipt
    assert receipt["commitments"]["prompt"] == commit(b'["one","two"]', answer.job.prompt_salt)
    assert receipt["commitments"]["answer"] == commit(b"".join(VECTORS), answer.tally.salt)
    assert "sampler" not in receipt
    assert answer.tally.vectors == VECTORS
    assert bench.engine.requests[-1].inputs == TEXTS
    assert bench.quotas.settled == [6]
    assert "embeddings" in str(bench.log.entries)


async def test_an_unlogged_request_gives_no_vector(bench: Any) -> None:
    bench.log.up = False
    answer, steps = await _vectors(bench)
    assert isinstance(steps[-1], Failed)
    assert steps[-1].error.status == 503
    assert answer.tally.vectors == ()


@pytest.mark.parametrize(
    "body",
    [
        {"input": []},
        {"input": ""},
        {"input": ["a", ""]},
        {"input": [1, 2, 3]},
        {"input": [[1, 2], [3]]},
        {"input": "a", "encoding_format": "int8"},
        {"input": "a", "dimensions": 0},
        {"input": "a", "truncate": True},
        {"input": ["a"] * 257},
    ],
)
async def test_what_is_not_meant_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EmbeddingRequest.model_validate({"model": "m", **body})


async def test_one_text_or_several() -> None:
    assert EmbeddingRequest.model_validate({"model": "m", "input": "a"}).texts() == ("a",)
    assert EmbeddingRequest.model_validate({"model": "m", "input": ["a", "b"]}).texts() == ("a", "b")
