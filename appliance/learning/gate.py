"""The gate: a change passes unless it is worse beyond noise somewhere, and better where it was said to be. Pure.

What is compared is the same cases before and after, asked of the same groups (``pairing``). Rules, in the order in
which they speak:

1. A vital case that held and holds no more refuses the change. Averages make up for nothing here.
2. Each slice (all; by group, by language, by kind of case) with ``ENOUGH`` cases is held to the paired bootstrap; one
   that fell, with all slices judged together at ``ALPHA`` (Holm), refuses the change.
3. Energy may grow by a tenth, on the geometric mean over cases; beyond that, it is judged likewise. Time is shown, and
   judged only where it is claimed to be better: what slows a run is the load that all of its cases shared, and drawing
   cases anew says nothing of that.
4. A claimed improvement must hold at ``ALPHA`` in the slice that it names.

Slices with fewer cases are shown and judge nothing; fewer than ``ENOUGH`` in all, and nothing is decided.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from appliance.learning.errors import ResultError
from appliance.learning.figures import PART, parts
from appliance.learning.pairing import ENOUGH, paired
from appliance.learning.resampling import RESAMPLES, SEED, Difference, difference, holm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from appliance.learning.pairing import Rows
    from appliance.learning.results import Results, Row

ALPHA = 0.05
MARGIN = 0.10
"""Growth of energy that is not held against a change: machines are not that steady."""
COSTS = ("seconds", "joules")
_CLAIM = re.compile(r"all|seconds|joules|(?:group|language|kind)=[a-z0-9._-]{1,63}")

_SLICE_PARTS = 6
_SHOWN = ("seconds",)

State = Literal["worse", "better", "same", "too few", "shown"]


@dataclass(frozen=True)
class Slice:
    """Scores of one slice before and after. Of costs: geometric means, and the difference is of logarithms."""

    name: str
    before: float
    after: float
    difference: Difference
    state: State

    def told(self) -> str:
        """In a line, for the log."""
        found = self.difference
        return (
            f"{self.name} n={found.count} {self.before:.3f}>{self.after:.3f} {found.mean:+.3f} "
            f"[{found.lower:+.3f},{found.upper:+.3f}] p={min(found.p_lower, found.p_higher):.4f} {self.state}"
        )


@dataclass(frozen=True)
class Decision:
    """What the gate says, with every figure that it rests on."""

    slices: tuple[Slice, ...]
    refusals: tuple[str, ...]
    claims: tuple[str, ...]
    cases: int
    new_cases: int
    withdrawn: tuple[str, ...]
    before: str
    after: str
    resamples: int
    seed: int

    @property
    def passed(self) -> bool:
        """Whether the change may go on."""
        return not self.refusals

    def figures(self) -> dict[str, Any]:
        """For the audit log: numbers and bounded texts, nothing of what anybody said.

        Lists there are bounded, so slices stand in parts; what was refused or claimed comes first.
        """
        named = " ".join((*self.refusals, *self.claims))
        told = [one.told() for one in sorted(self.slices, key=lambda one: one.name not in named)]
        return {
            "passed": self.passed,
            **parts("refusals", self.refusals),
            **parts("claims", self.claims),
            "cases": self.cases,
            "new_cases": self.new_cases,
            "withdrawn_cases": len(self.withdrawn),
            "withdrawn": list(self.withdrawn[:PART]),
            **parts("slices", told, _SLICE_PARTS),
            "before": self.before,
            "after": self.after,
            "method": "paired bootstrap, Holm",
            "resamples": self.resamples,
            "seed": self.seed,
            "alpha": ALPHA,
            "enough": ENOUGH,
            "margin": MARGIN,
        }


def decide(  # noqa: PLR0913 - what a decision rests on, by keyword
    before: Results,
    after: Results,
    claims: Sequence[str] = (),
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    shown: Sequence[str] = _SHOWN,
) -> Decision:
    """The decision on what turned ``before`` into ``after``; costs in ``shown`` are judged only where they are claimed.

    Raises ``ResultError`` where they are not to be compared: a case that was in force is missing in ``after`` (who
    leaves out what fails would pass), too many were withdrawn, cases are too few, settings differ, or a claim names no
    slice.
    """
    pairs, withdrawn = paired(before, after)
    _check_claims(claims, {name for pair in pairs for name in _names(pair[0])} | set(COSTS))

    def resampled(values: Iterable[float]) -> Difference:
        return difference(list(values), resamples=resamples, seed=seed)

    costs = _costs(pairs, resampled, frozenset(shown) - frozenset(claims))
    slices = [*_judged(_scored(pairs, resampled), 0.0), *_judged(costs, math.log1p(MARGIN))]
    refusals = [
        *_vital(pairs, after),
        *(f"{one.name} is worse beyond noise" for one in slices if one.state == "worse"),
        *(f"{name} is not better, as was claimed" for name in claims if not _better(slices, name)),
    ]
    return Decision(
        tuple(slices),
        tuple(refusals),
        tuple(claims),
        len(pairs),
        len(after.rows) - len(pairs),
        withdrawn,
        before.digest,
        after.digest,
        resamples,
        seed,
    )


def _check_claims(claims: Sequence[str], known: set[str]) -> None:
    for claim in claims:
        if not _CLAIM.fullmatch(claim) or claim not in known:
            raise ResultError(f"{claim!a} names no slice of these cases", f"there are {', '.join(sorted(known))}")


def _names(row: Row) -> tuple[str, ...]:
    return "all", f"group={row.group}", f"language={row.language}", f"kind={row.kind}"


def _scored(pairs: list[Rows], resampled: Callable[[Iterable[float]], Difference]) -> list[Slice]:
    slices: dict[str, list[Rows]] = {}
    for pair in pairs:
        for name in _names(pair[0]):
            slices.setdefault(name, []).append(pair)
    return [
        Slice(
            name,
            math.fsum(old.score for old, _ in slices[name]) / len(slices[name]),
            math.fsum(new.score for _, new in slices[name]) / len(slices[name]),
            resampled(new.score - old.score for old, new in slices[name]),
            "same" if len(slices[name]) >= ENOUGH else "too few",
        )
        for name in sorted(slices, key=lambda name: (name != "all", name))
    ]


def _costs(pairs: list[Rows], resampled: Callable[[Iterable[float]], Difference], shown: frozenset[str]) -> list[Slice]:
    """Falls are savings' opposite: differences are signed so that higher is better, as with scores."""
    found = []
    for name in COSTS:
        both = [(getattr(old, name), getattr(new, name)) for old, new in pairs]
        logs = [(math.log(old), math.log(new)) for old, new in both if old > 0 and new > 0]
        if len(logs) < ENOUGH:
            continue
        means = [math.exp(math.fsum(side) / len(logs)) for side in zip(*logs, strict=True)]
        state: State = "shown" if name in shown else "same"
        found.append(Slice(name, means[0], means[1], resampled(old - new for old, new in logs), state))
    return found


def _judged(slices: list[Slice], margin: float) -> list[Slice]:
    """Each slice's state; ``margin`` is a fall that is not held against it."""
    judged = [one for one in slices if one.state == "same"]
    worse = holm([one.difference.p_lower if one.difference.mean < -margin else 1.0 for one in judged], ALPHA)
    fell = {one.name for one, holds in zip(judged, worse, strict=True) if holds and one.difference.upper < -margin}
    return [Slice(one.name, one.before, one.after, one.difference, _state(one, fell)) for one in slices]


def _state(one: Slice, fell: set[str]) -> State:
    if one.state in {"too few", "shown"}:
        return one.state
    if one.name in fell:
        return "worse"
    return "better" if one.difference.p_higher <= ALPHA and one.difference.lower > 0 else "same"


def _better(slices: list[Slice], name: str) -> bool:
    return any(one.name == name and one.state == "better" for one in slices)


def _vital(pairs: list[Rows], after: Results) -> list[str]:
    broken = [old.case for old, new in pairs if old.vital and old.score == 1 and new.score < 1]
    there = {old.key for old, _ in pairs}
    new = [row.case for row in after.rows if row.key not in there and row.vital and row.score < 1]
    told = []
    for found, what in ((broken, "held and holds no more"), (new, "is new and does not hold")):
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        told += [f"vital case {found[0]} {what}{more}"] if found else []
    return told
