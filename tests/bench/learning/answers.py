"""The same held-out questions three times: without documents, with them, and with last night's brief as well.

An answer is worth the mean of three of the loop's own scorers, chosen before any held-out answer was seen (ADR 199):
what it should name is in it (``contains``), the document that should carry it does (``cited``), and it is in the
question's language. Weights, questions and seeds are the same each time, so differences are paired.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from appliance.gateway.evaluation import WITHOUT
from appliance.learning.cases import Case, Content, digest_of
from appliance.learning.resampling import SEED, Difference, difference
from appliance.learning.running import Budget, Question, questions, run
from appliance.learning.scoring import score
from tests.bench.claims import Claim, at_least, tell
from tests.bench.learning import house, ids
from tests.bench.learning.library import readers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from appliance.learning.cases import Kind
    from appliance.learning.running import Answered
    from tests.bench.learning.facts import Fact
    from tests.bench.learning.house import Stand

Arm = Literal["alone", "with documents", "with documents and brief"]
ARMS: tuple[Arm, ...] = ("alone", "with documents", "with documents and brief")
SCORERS: tuple[Kind, ...] = ("contains", "cited", "language")
_MORE = (20.0, 5.0)
"""Points that documents are to add, and that the brief is to add to them."""


@dataclass(frozen=True)
class Scored:
    """What an answer is worth to each of ``SCORERS``, from 0 to 1."""

    fact: Fact
    each: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The answer score."""
        return math.fsum(self.each) / len(self.each)


@dataclass(frozen=True)
class Told:
    """What was answered, where, and to whom."""

    group: str
    answered: Answered


def scored(fact: Fact, answered: Answered | None, digests: Collection[str]) -> Scored:
    """The answer's worth; nothing where it was refused. ``digests`` are of the documents that carry it. Pure."""
    if answered is None:
        return Scored(fact, (0.0,) * len(SCORERS))
    documents = answered.receipt.get("documents") or {}
    cited = {str(one["digest"]) for one in documents.get("passages", ()) if one["cited"] and not one["gone"]}
    carrying = min(cited.intersection(digests) or digests)
    expected = {"contains": fact.names, "cited": (carrying,), "language": (fact.language,)}
    contents = [content(fact, kind, expected[kind]) for kind in SCORERS]
    return Scored(fact, tuple(score(one, answered.text, cited) for one in contents))


def content(fact: Fact, kind: Kind, expected: tuple[str, ...], *, documents: bool = False) -> Content:
    """A case of the fact."""
    return Content(
        question=fact.question,
        kind=kind,
        expected=expected,
        groups=(readers(fact.language),),
        language=fact.language,
        documents=documents,
    )


async def asked(
    stand: Stand, facts: Sequence[Fact], arm: Arm, digests: Mapping[str, Collection[str]], note: Callable[[Told], None]
) -> list[Scored]:
    """Every question of the arm; ``digests`` are of the documents that carry a fact, by its name."""
    tell(f"asking {len(facts)} held-out questions {arm}")
    groups = sorted({readers(one.language) for one in facts})
    documents = arm != "alone"
    cases = [Case(ids.number(one.name), 1, content(one, "contains", one.names, documents=documents)) for one in facts]
    waiting: list[Question] = questions(cases, groups, house.SEED)
    settings = house.run_of(groups, digest_of(cases), [one.drawn for one in waiting])
    async with stand.asking(settings, None if arm == ARMS[-1] else WITHOUT) as asker:
        await run(waiting, asker, lambda _row: None, Budget(), lambda _done, _all: None)
    for (group, _), answered in asker.given.items():
        note(Told(group, answered))
    return [scored(one, asker.given.get((readers(one.language), one.question)), digests[one.name]) for one in facts]


def gained(before: Sequence[Scored], after: Sequence[Scored]) -> Difference:
    """By how much ``after`` is better, with its interval (paired bootstrap). Pure."""
    return difference([new.mean - old.mean for old, new in zip(before, after, strict=True)])


def claims(found: Mapping[Arm, Sequence[Scored]]) -> list[Claim]:
    """In points of a hundred."""
    alone, documents, both = (found[arm] for arm in ARMS)
    return [
        at_least("answer score, documents over none", 100 * gained(alone, documents).mean, "points", _MORE[0]),
        at_least(
            "answer score, brief and labels over documents", 100 * gained(documents, both).mean, "points", _MORE[1]
        ),
    ]


def figures(found: Mapping[Arm, Sequence[Scored]]) -> dict[str, object]:
    """Means by scorer, stratum and language, and both gains with their intervals."""
    alone, documents, both = (found[arm] for arm in ARMS)
    return {
        "questions": len(alone),
        "seeds": {"answers": house.SEED, "numbers": ids.SEED, "bootstrap": SEED},
        "scores": {arm: _means(rows) for arm, rows in found.items()},
        "documents over none": _told(gained(alone, documents)),
        "brief over documents": _told(gained(documents, both)),
    }


def means_of(rows: Iterable[Scored]) -> float:
    """The mean answer score; 0 of none."""
    values = [one.mean for one in rows]
    return math.fsum(values) / len(values) if values else 0.0


def _means(rows: Sequence[Scored]) -> dict[str, float]:
    slices = {"all": list(rows)}
    for one in rows:
        slices.setdefault(one.fact.stratum, []).append(one)
        slices.setdefault(one.fact.language, []).append(one)
    told = {name: round(means_of(some), 4) for name, some in slices.items()}
    each = [math.fsum(one.each[at] for one in rows) / max(len(rows), 1) for at in range(len(SCORERS))]
    return told | {kind: round(value, 4) for kind, value in zip(SCORERS, each, strict=True)}


def _told(found: Difference) -> dict[str, float]:
    points = {"points": found.mean, "lower": found.lower, "upper": found.upper}
    return {name: round(100 * value, 2) for name, value in points.items()} | {"p": round(found.p_higher, 4)}
