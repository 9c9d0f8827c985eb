"""`make bench-gate`: how often the gate stops a change of nothing, and how large a fall has to be for it to be seen.

Two evaluations of 240 seeded cases are drawn and judged, many times; each pair has luck of its own. Nothing is timed.
The last line is JSON.
"""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from appliance.learning.gate import decide
from tests.bench.claims import Claim, at_least, at_most, tell
from tests.learning.seeded_results import harder, items, results

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.learning.seeded_results import Item

ROUNDS = 200
RESAMPLES = 1_000
FALLS = (0.05, 0.10, 0.15, 0.20, 0.30)


def stopped(change: Callable[[Item], Item], rounds: int = ROUNDS) -> float:
    """The share of pairs that the gate stops, where the second system is changed."""
    cases = items()
    refused = 0
    for number in range(rounds):
        before, after = results(cases, 1_000 + number), results(cases, 9_000 + number, change)
        refused += not decide(before, after, resamples=RESAMPLES, seed=number).passed
    return refused / rounds


def main() -> None:
    """Measure, print progress on stderr and claims on stdout."""
    nothing = stopped(harder(0.0))
    tell(f"a change of nothing: {nothing:.3f} stopped")
    seen = {}
    for fall in FALLS:
        seen[fall] = stopped(harder(fall))
        tell(f"{100 * fall:.0f} points less: {seen[fall]:.3f} stopped")
    one_group = stopped(harder(0.3, group="clerks"))
    tell(f"30 points less in one group of three: {one_group:.3f} stopped")
    claims: list[Claim] = [
        at_most("changes of nothing that are stopped", nothing, "share", 0.08),
        at_least("falls of 20 points that are stopped", seen[0.20], "share", 0.95),
        at_least("falls of 30 points in one group of three that are stopped", one_group, "share", 0.9),
    ]
    figures = {"nothing": nothing, "falls": {str(fall): share for fall, share in seen.items()}, "one group": one_group}
    result = {
        "machine": {"system": platform.platform()},
        "versions": {"numpy": np.__version__, "python": platform.python_version()},
        "rounds": figures,
        "claims": [asdict(claim) for claim in claims],
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
