"""How well an answer does what its case expects: a number from 0 to 1. Pure, without a model as a judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.learning.signals import declined
from appliance.learning.words import holds, plain
from appliance.memory.language import leaning

if TYPE_CHECKING:
    from collections.abc import Collection

    from appliance.learning.cases import Content


def score(case: Content, answer: str, cited: Collection[str] = (), *, refused: bool | None = None) -> float:
    """1 where the answer is as expected. An empty answer is worth nothing, whatever is expected.

    ``contains`` and ``cited`` are worth the share that is there; the other kinds hold or do not. ``cited`` are the
    digests of the documents that the answer's receipt names; ``refused`` is whether the answer declines, where its
    receipt says more of that than its words.
    """
    if not answer.strip():
        return 0.0
    match case.kind:
        case "exact":
            return float(plain(answer) in {plain(one) for one in case.expected})
        case "contains":
            return sum(holds(answer, one) for one in case.expected) / len(case.expected)
        case "refusal":
            declines = declined(answer) if refused is None else refused
            return float(declines and not any(holds(answer, one) for one in case.expected))
        case "language":
            return float(leaning(answer) == case.expected[0])
        case "cited":
            return sum(one in cited for one in case.expected) / len(case.expected)
