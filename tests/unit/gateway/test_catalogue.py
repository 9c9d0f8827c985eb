"""What a gateway knows of its engines holds until one of them fails, or for a moment."""

from __future__ import annotations

import asyncio

import pytest

from appliance.engine.errors import EngineUnavailableError
from appliance.engine.protocol import Request
from appliance.gateway.catalogue import Catalogue
from tests.gateway.doubles import ObedientEngine

ASK = Request(id="1", user="u", group="g", prompt="Hello")


async def _ask(catalogue: Catalogue, question: Request) -> int:
    return len([event async for event in catalogue.engine("small").generate(question)])


def test_what_is_known_of_an_engine_is_not_asked_again_at_once() -> None:
    async def work() -> None:
        engine = ObedientEngine()
        catalogue = Catalogue({"small": engine})
        first = await catalogue.model("small")
        engine.context_tokens = 100
        assert await _ask(catalogue, ASK) == len(engine.words) + 2
        assert await catalogue.model("small") == first

    asyncio.run(work())


def test_an_engine_that_failed_a_request_is_asked_anew_what_it_serves() -> None:
    async def work() -> None:
        engine = ObedientEngine()
        catalogue = Catalogue({"small": engine})
        first = await catalogue.model("small")
        engine.context_tokens, engine.up = 1, False
        with pytest.raises(EngineUnavailableError):
            await _ask(catalogue, ASK)
        engine.up = True
        assert (await catalogue.model("small")).context_tokens == 1 != first.context_tokens

    asyncio.run(work())
