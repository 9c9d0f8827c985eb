"""Two rankings made into one: reciprocal rank fusion. Pure.

Cormack, Clarke, Buettcher: Reciprocal Rank Fusion outperforms Condorcet and individual rank learning methods, SIGIR
2009.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

Item = TypeVar("Item", bound="Hashable")
K = 60
"""How little the first places count beside the next; the paper's value."""


def fused(rankings: Sequence[tuple[float, Sequence[Item]]], k: int = K) -> list[tuple[Item, float]]:
    """Items of all rankings, best first, with their scores; each ranking comes with its weight.

    Equal scores stand in the order in which the rankings name them.
    """
    scores: dict[Item, float] = defaultdict(float)
    for weight, ranking in rankings:
        for place, item in enumerate(ranking, start=1):
            scores[item] += weight / (k + place)
    return sorted(scores.items(), key=lambda scored: -scored[1])
