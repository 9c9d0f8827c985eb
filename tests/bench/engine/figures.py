"""Figures of several rounds. Pure; every function says what it does with nothing."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of ``values`` that at least ``share`` of them do not exceed (nearest rank); infinity of none."""
    if not values:
        return math.inf
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def median(values: Sequence[float]) -> float | None:
    """The median, or ``None`` where a round gave no figure at all."""
    finite = [value for value in values if math.isfinite(value)]
    return statistics.median(finite) if values and len(finite) == len(values) else None


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Round by round, ours to theirs: what disturbed a round disturbed both. Infinity where theirs is nothing."""
    return [mine / other if other else math.inf for mine, other in zip(ours, theirs, strict=True)]


def spread(values: Sequence[float]) -> float | None:
    """Half the distance between the quartiles, as a share of the median: how much rounds differ."""
    middle = median(values)
    if middle is None or middle == 0 or len(values) < 2:
        return None
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2 / middle


def plain(value: Any) -> Any:
    """``value`` as JSON knows it: numbers to five digits, and ``None`` for what is not finite."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value
