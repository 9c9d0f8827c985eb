"""Which of four names an answer says where it can say nothing else: a measure that a small model moves.

The held-out questions are asked through the gateway as ever: same passages, same brief, same prompt. Between it and the
engine the answer is bound to one of four names by a grammar: the first that the section marks and the question does not
give away, and three that other pages of the same language mark. None is told to the model; who guesses is right one
time in four. The likeliest is taken, so nothing is left to chance.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from appliance.learning.resampling import difference
from appliance.learning.words import holds
from tests.bench.claims import Claim, at_least, tell
from tests.bench.learning.answers import ARMS, MORE, answered, content, told, waiting
from tests.bench.learning.library import readers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from appliance.engine.client import ModelInfo
    from appliance.engine.protocol import Event, Request
    from appliance.engine.tiers import EngineTiers
    from appliance.learning.running import Answered
    from tests.bench.learning.answers import Arm
    from tests.bench.learning.facts import Fact
    from tests.bench.learning.house import Stand
    from tests.bench.learning.kept import KeptEngine

_OTHERS = 3


@dataclass(frozen=True)
class Choice:
    """A question, and what may be said to it, in no order that tells."""

    fact: Fact
    names: tuple[str, ...]

    @property
    def right(self) -> str:
        """The one that the section names."""
        return self.fact.names[0]


@dataclass
class OneOf:
    """Implements the gateway's ``Engine``: a request whose seed is in ``offered`` is answered by one of those names."""

    engine: KeptEngine
    offered: dict[int, tuple[str, ...]] = field(default_factory=dict)

    async def generate(self, request: Request) -> AsyncGenerator[Event, None]:
        """Events of one request."""
        names = self.offered.get(request.seed) if request.seed is not None else None
        if names is not None:
            request = replace(request, json_schema={"enum": list(names)}, temperature=0.0)
        async for event in self.engine.generate(request):
            yield event

    async def model(self) -> ModelInfo:
        """What the engine serves."""
        return await self.engine.model()

    async def healthy(self) -> bool:
        """Whether it takes requests now."""
        return await self.engine.healthy()

    async def tiers(self) -> EngineTiers:
        """What lies in its memory."""
        return await self.engine.tiers()


def choices(facts: Sequence[Fact], marked: Mapping[str, Sequence[str]], pages: Mapping[str, str]) -> list[Choice]:
    """A choice for each fact that finds three others of its kind. Pure.

    ``marked``: every name of a page; ``pages``: each page's language. Others stand on no passage of the fact's page.
    """
    found = []
    for fact in facts:
        own = set(marked[fact.page])
        others = {name for page, names in marked.items() if pages[page] == fact.language for name in names} - own
        alike = [one for one in others if _path(one) == _path(fact.names[0]) and not holds(fact.question, one)]
        drawn = sorted(alike, key=lambda one: _lot(fact.name, one))[:_OTHERS]
        if len(drawn) == _OTHERS:
            found.append(Choice(fact, tuple(sorted((fact.names[0], *drawn), key=lambda one: _lot("order", one)))))
    return found


async def asked(stand: Stand, engine: OneOf, chosen: Sequence[Choice], arm: Arm) -> list[float]:
    """Of each choice, 1 where it was right."""
    tell(f"asking {len(chosen)} held-out questions {arm}, for one of four names")
    cases = {
        f"choice {one.fact.name}": content(one.fact, "exact", (one.right,), documents=arm != "alone") for one in chosen
    }
    asks = waiting(cases)
    names = {(readers(one.fact.language), one.fact.question): one.names for one in chosen}
    engine.offered = {one.seed: names[one.group, one.case.content.question] for one in asks}
    try:
        given = await answered(stand, asks, arm)
    finally:
        engine.offered = {}
    return [score(one, given.get((readers(one.fact.language), one.fact.question))) for one in chosen]


def score(choice: Choice, answer: Answered | None) -> float:
    """1 for the right name. Pure."""
    if answer is None:
        return 0.0
    said = json.loads(answer.text)
    assert said in choice.names, said
    return float(said == choice.right)


def claims(found: Mapping[Arm, Sequence[float]]) -> list[Claim]:
    """In points of a hundred, with the bounds of the answer score."""
    alone, documents, both = (found[arm] for arm in ARMS)
    names = ("right of four names, documents over none", "right of four names, brief and labels over documents")
    pairs = ((alone, documents), (documents, both))
    return [
        at_least(name, 100 * difference(_gains(*pair)).mean, "points", bound)
        for name, pair, bound in zip(names, pairs, MORE, strict=True)
    ]


def figures(chosen: Sequence[Choice], found: Mapping[Arm, Sequence[float]]) -> dict[str, object]:
    """Shares by arm, language and stratum, and both gains with their intervals."""
    alone, documents, both = (found[arm] for arm in ARMS)
    return {
        "questions": len(chosen),
        "by chance": round(1 / (_OTHERS + 1), 2),
        "right": {arm: _shares(chosen, scores) for arm, scores in found.items()},
        "documents over none": told(difference(_gains(alone, documents))),
        "brief over documents": told(difference(_gains(documents, both))),
    }


def _gains(before: Sequence[float], after: Sequence[float]) -> list[float]:
    return [new - old for old, new in zip(before, after, strict=True)]


def _shares(chosen: Sequence[Choice], scores: Sequence[float]) -> dict[str, float]:
    slices: dict[str, list[float]] = {"all": list(scores)}
    for one, value in zip(chosen, scores, strict=True):
        slices.setdefault(one.fact.language, []).append(value)
        slices.setdefault(one.fact.stratum, []).append(value)
    return {name: round(math.fsum(some) / len(some), 4) for name, some in slices.items() if some}


def _path(name: str) -> bool:
    return "/" in name


def _lot(who: str, name: str) -> bytes:
    """An order that is nobody's choice."""
    return hashlib.sha256(f"{who} {name}".encode()).digest()
