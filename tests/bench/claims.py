"""Claims of a benchmark, as its last line states them (design: Benchmarks)."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """``holds`` compares ``value`` with ``bound`` as the name says."""

    name: str
    value: float
    unit: str
    bound: float
    holds: bool


def at_most(name: str, value: float, unit: str, bound: float) -> Claim:
    """``value`` must not exceed ``bound``."""
    return Claim(f"{name}, at most", round(value, 4), unit, bound, value <= bound)


def at_least(name: str, value: float, unit: str, bound: float) -> Claim:
    """``value`` must reach ``bound``."""
    return Claim(f"{name}, at least", round(value, 4), unit, bound, value >= bound)


def tell(text: str) -> None:
    """A line of progress."""
    sys.stderr.write(f"{text}\n")
