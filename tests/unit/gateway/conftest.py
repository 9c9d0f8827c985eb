"""Unit tests of the gateway: no database, no network; neighbours are doubles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from appliance.gateway.answers import Answer, Desk
from appliance.gateway.callers import Caller
from appliance.gateway.entitlements import grant
from appliance.gateway.jobs import Job
from appliance.gateway.ledger import Ledger
from appliance.gateway.metrics import Metrics
from appliance.gateway.pseudonyms import Subject
from appliance.gateway.sampling import Sampling
from appliance.gateway.savings import Savings
from tests.gateway.doubles import MemoryLog, ObedientEngine, site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.gateway.quota import Reservation
    from appliance.gateway.steps import Step
    from appliance.gateway.tally import Tally
    from appliance.memory.documents import Found, Place


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class CountingQuotas:
    """Remembers what was settled."""

    settled: list[int] = field(default_factory=list)

    async def settle(self, reservation: Reservation, used: int) -> None:
        del reservation
        self.settled.append(used)


@dataclass
class Scrapbook:
    """Keeps an answer in memory."""

    calls: list[str] = field(default_factory=list)
    text: str | None = None
    outcome: str | None = None
    receipt: dict[str, Any] | None = None
    refuses: Exception | None = None

    async def started(self) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.calls.append("started")

    async def finished(self, text: str, outcome: str, receipt: dict[str, Any] | None) -> None:
        self.calls.append("finished")
        self.text, self.outcome, self.receipt = text, outcome, receipt

    async def closed(self) -> None:
        self.calls.append("closed")


@dataclass
class Shelf:
    """Documents as they stand: ``there`` answers for every place, None where the library does not answer."""

    there: tuple[Found | None, ...] | None = ()
    asked: list[tuple[str, ...]] = field(default_factory=list)

    async def still(self, places: Sequence[Place], groups: Sequence[str]) -> tuple[Found | None, ...] | None:
        del places
        self.asked.append(tuple(groups))
        return self.there


class NoRollouts:
    """Nothing is rolled out, so nothing is counted."""

    async def note(self, job: Job, tally: Tally, outcome: str) -> None:
        del tally, outcome
        assert job.grant.rollout is None


class Bench:
    """One answer at a time over doubles."""

    def __init__(self) -> None:
        self.engine = ObedientEngine()
        self.log = MemoryLog()
        self.quotas = CountingQuotas()
        self.keeper = Scrapbook()
        self.metrics = Metrics()
        self.ledger = Ledger(self.log, self.metrics)
        self.shelf = Shelf()
        self.savings = Savings()
        self.rollouts = NoRollouts()

    async def job(self, question: str = "what is this?", **changes: Any) -> Job:
        fields: dict[str, Any] = {
            "caller": Caller(Subject("0" * 32), ("analysts",), "sovereign-web"),
            "grant": grant(site(), ["analysts"], "small"),
            "model": await self.engine.model(),
            "sampling": Sampling(max_tokens=64, temperature=0.5, top_p=0.9, seed=7),
            "reservation": None,
            "purpose": "api",
            "messages": ({"role": "user", "content": question},),
        }
        return Job(**{**fields, **changes})

    async def start(self, question: str = "what is this?", **changes: Any) -> Answer:
        desk = Desk(self.ledger, self.quotas, self.metrics, self.shelf, self.savings, self.rollouts)
        return Answer(desk, self.engine, await self.job(question, **changes), self.keeper)

    async def steps(self, question: str = "what is this?", **changes: Any) -> list[Step]:
        answer = await self.start(question, **changes)
        found = [step async for step in answer.steps()]
        await answer.task
        return found


@pytest.fixture
def bench() -> Bench:
    return Bench()
