"""How good a ranking is, as BEIR and trec_eval count: recall at a depth, and nDCG with two grades. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def found_within(right: Sequence[bool], depth: int) -> float:
    """Whether something right stands among the first ``depth``: recall of a question that one passage answers."""
    return float(any(right[:depth]))


def ndcg(right: Sequence[bool], existing: int, depth: int = 10) -> float:
    """Normalised discounted cumulative gain (Järvelin 2002) of the first ``depth``; ``existing`` passages are right."""
    gained = sum(1 / math.log2(place + 2) for place, good in enumerate(right[:depth]) if good)
    best = sum(1 / math.log2(place + 2) for place in range(min(existing, depth)))
    return gained / best if best else 0.0
