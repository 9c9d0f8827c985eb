"""Whether experts who judged the same failures judge alike. Pure.

Cohen's kappa (1960) for two people, and for each person against everybody else who judged the same; agreement that
would come about by chance counts for nothing. So who calls everything wrong has a kappa near 0, whatever the share of
cases in which the others happen to agree; and the share of their most used ruling says so without any comparison.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Pair = tuple[str, str]

ENOUGH = 10
"""Judgements from which on a figure is more than an anecdote; below, it is shown with its count all the same."""
ONE_SIDED = 0.95


@dataclass(frozen=True)
class Agreement:
    """Of ``count`` failures that two sides judged. ``kappa`` is None where chance alone would agree always."""

    count: int
    observed: float
    kappa: float | None


@dataclass(frozen=True)
class Expert:
    """One person's judging: how often each ruling, and how it goes with what others said of the same failures."""

    subject: str
    rulings: Mapping[str, int]
    with_others: Agreement

    @property
    def one_sided(self) -> bool:
        """Whether nearly all judgements are one and the same, from ``ENOUGH`` on."""
        total = sum(self.rulings.values())
        return total >= ENOUGH and max(self.rulings.values()) >= ONE_SIDED * total


def agreement(pairs: Sequence[Pair]) -> Agreement:
    """Cohen's kappa of rulings given in pairs: first side, second side."""
    count = len(pairs)
    if not count:
        return Agreement(0, 0.0, None)
    observed = sum(a == b for a, b in pairs) / count
    left, right = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(left[ruling] * right[ruling] for ruling in left) / count**2
    return Agreement(count, observed, (observed - chance) / (1 - chance) if chance < 1 else None)


def experts(judged: Iterable[tuple[str, str, str]]) -> tuple[Expert, ...]:
    """Everybody's judging, from (failure, expert, ruling); by subject."""
    rulings: dict[str, Counter[str]] = defaultdict(Counter)
    by_failure: dict[str, dict[str, str]] = defaultdict(dict)
    for failure, subject, ruling in judged:
        rulings[subject][ruling] += 1
        by_failure[failure][subject] = ruling
    compared: dict[str, list[Pair]] = defaultdict(list)
    for said in by_failure.values():
        for one, other in combinations(sorted(said), 2):
            compared[one].append((said[one], said[other]))
            compared[other].append((said[other], said[one]))
    return tuple(Expert(one, dict(rulings[one]), agreement(compared[one])) for one in sorted(rulings))


def overall(judged: Iterable[tuple[str, str, str]]) -> Agreement:
    """Over every failure that two people or more judged: each pair of judgements once, in the order of subjects."""
    by_failure: dict[str, dict[str, str]] = defaultdict(dict)
    for failure, subject, ruling in judged:
        by_failure[failure][subject] = ruling
    pairs = [(said[one], said[other]) for said in by_failure.values() for one, other in combinations(sorted(said), 2)]
    return agreement(pairs)
