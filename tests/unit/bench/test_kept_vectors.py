"""Vectors that are kept are those of the model and the text, and what was refused is asked again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from appliance.engine.errors import EngineRefusedError
from appliance.engine.protocol import Message, Request, Vectors
from tests.bench.learning.kept_vectors import KeptVectors

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from appliance.engine.protocol import Event


class Engine:
    """Says what it was asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.digest = "sha256:aa"

    async def model(self) -> Any:
        return SimpleNamespace(receipt={"digest": self.digest})

    async def generate(self, request: Request) -> AsyncGenerator[Event]:
        self.requests.append(request)
        if request.inputs and "long" in request.inputs:
            raise EngineRefusedError("context_length_exceeded", "text 0 has 600 tokens, and the model takes 512")
        yield Vectors(tuple(one.encode().ljust(8, b".") for one in request.inputs or ()))


def asked(**given: Any) -> Request:
    return Request(**{"id": "r", "user": "u", "group": "g", "messages": (Message("user", "?"),), **given})


async def events(engine: KeptVectors, request: Request) -> list[Event]:
    return [event async for event in engine.generate(request)]


def test_vectors_are_kept_by_model_and_text_and_refusals_are_not(tmp_path: Path) -> None:
    real, path = Engine(), tmp_path / "new" / "vectors.sqlite"
    kept = KeptVectors(real, path)  # type: ignore[arg-type]  # a double
    first = asyncio.run(events(kept, asked(messages=None, inputs=("one", "two"))))
    kept.close()
    again = KeptVectors(real, path)  # type: ignore[arg-type]  # a double
    assert asyncio.run(events(again, asked(messages=None, inputs=("one", "two")))) == first
    assert len(real.requests) == 1
    asyncio.run(events(again, asked(messages=None, inputs=("onetwo",))))
    for _ in range(2):
        with pytest.raises(EngineRefusedError):
            asyncio.run(events(again, asked(messages=None, inputs=("long",))))
    assert len(real.requests) == 4
    real.digest = "sha256:bb"
    asyncio.run(events(again, asked(messages=None, inputs=("one", "two"))))
    assert len(real.requests) == 5
    again.close()
