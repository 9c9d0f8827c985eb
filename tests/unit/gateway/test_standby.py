"""While a model is changed, answers under way end where they began, and new ones come from the model in force."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from appliance.engine.errors import EngineAbsentError, EngineDrainingError
from appliance.engine.protocol import Event, Message, Request, Token
from appliance.engine.served import receipt_digest
from appliance.gateway.catalogue import Catalogue
from appliance.gateway.standby import EngineWithStandby
from tests.gateway.doubles import ObedientEngine, receipt

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from appliance.engine.client import ModelInfo


@dataclass
class Loaded(ObedientEngine):
    """An engine that has loaded ``weights`` and, as the real one, answers for nothing else."""

    weights: str = "old"

    async def model(self) -> ModelInfo:
        found = await super().model()
        found.receipt["digest"] = self.weights
        return found

    async def generate(self, request: Request) -> AsyncGenerator[Event, None]:
        if request.receipt_digest != receipt_digest({**receipt(self.name), "digest": self.weights}):
            raise EngineDrainingError("another model serves now than the request was made for")
        async for event in super().generate(request):
            yield event


@dataclass
class Change:
    """A model that is being changed, step by step."""

    engine: Loaded = field(default_factory=Loaded)
    standby: Loaded = field(default_factory=lambda: Loaded(weights="new", words=("new",)))
    diverted: bool = False

    def __post_init__(self) -> None:
        both = EngineWithStandby(self.engine, self.standby, lambda: self.diverted)
        self.catalogue = Catalogue({"small": both})

    async def ask(self, info: ModelInfo | None = None) -> tuple[str, str]:
        """The model that the receipt would name, and the answer."""
        info = info or await self.catalogue.model("small")
        asked = Request(
            id="1",
            user="u",
            group="g",
            messages=(Message("user", "hi"),),
            receipt_digest=receipt_digest(info.receipt),
        )
        events: list[Any] = [event async for event in self.catalogue.engine("small").generate(asked)]
        return info.receipt["digest"], "".join(event.text for event in events if isinstance(event, Token))


def test_streams_end_where_they_began_and_new_ones_name_the_new_model() -> None:
    async def work() -> None:
        change = Change(Loaded(pause=0.02, words=("old",) * 5))
        before = asyncio.create_task(change.ask())
        await asyncio.sleep(0.03)
        change.diverted = True
        late = await change.catalogue.model("small")  # remembered from before: the gateway asks anew some seconds later
        assert await change.ask(late) == ("old", "old" * 5)
        change.catalogue._known.clear()
        assert await change.ask() == ("new", "new")
        assert await before == ("old", "old" * 5)

    asyncio.run(work())


def test_the_engine_that_was_started_anew_takes_back_over() -> None:
    async def work() -> None:
        change = Change(diverted=True)
        known = await change.catalogue.model("small")
        change.engine.weights, change.engine.words, change.diverted = "new", ("anew",), False
        assert await change.ask(known) == ("new", "anew")
        change.standby.up = False
        assert await change.ask(known) == ("new", "anew")

    asyncio.run(work())


def test_a_diversion_that_outlived_its_standby_costs_nobody_an_answer() -> None:
    async def work() -> None:
        change = Change(diverted=True)
        change.standby.up = False
        assert await change.ask() == ("old", "Hello there.")
        assert await EngineWithStandby(change.engine, change.standby, lambda: True).healthy()
        assert not await EngineWithStandby(Loaded(up=False), change.standby, lambda: True).healthy()
        assert not await EngineWithStandby(Loaded(up=False), Loaded(), lambda: False).healthy(), (
            "never the standby unasked"
        )

    asyncio.run(work())


def test_a_request_that_neither_engine_can_answer_is_refused_and_asked_about_anew() -> None:
    async def work() -> None:
        change = Change()
        known = await change.catalogue.model("small")
        change.engine.weights = "new"
        with pytest.raises(EngineDrainingError):
            await change.ask(known)
        assert await change.ask() == ("new", "Hello there.")

    asyncio.run(work())


def test_the_memory_that_is_shown_is_that_of_the_engine_that_answers_now() -> None:
    async def work() -> None:
        diverted = [True]
        engine, standby = Loaded(), Loaded()
        both = EngineWithStandby(engine, standby, lambda: diverted[0])
        engine.up = False
        assert (await both.tiers()).cells == 4096
        engine.up, standby.up = True, False
        assert (await both.tiers()).cells == 4096, "a mark that was left: the model's own is asked"
        diverted[0], engine.up, standby.up = False, False, True
        with pytest.raises(EngineAbsentError):
            await both.tiers()

    asyncio.run(work())
