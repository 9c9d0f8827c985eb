"""Answers with a known truth: seeded, for tests of calibration."""

from __future__ import annotations

import math
import random

from appliance.learning.calibration import Label
from appliance.learning.confidence import Signal

SETTING = "sha256:" + "5e" * 32


def labels(
    count: int, *, seed: int = 1, grounded: bool = False, slope: float = 2.0, setting: str = SETTING
) -> list[Label]:
    """Right with a probability that goes with the mean: the tokens' own likelihood says far too much."""
    drawn = random.Random(seed)
    return [
        _label(drawn, f"{seed}-{number}", grounded=grounded, slope=slope, setting=setting) for number in range(count)
    ]


def _label(drawn: random.Random, case: str, *, grounded: bool, slope: float, setting: str) -> Label:
    mean = -drawn.uniform(0.02, 1.5)
    truth = 1 / (1 + math.exp(-slope * 2 * (mean + 0.75)))
    return Label(
        case=case,
        signal=Signal(mean, mean - drawn.random(), math.log1p(drawn.randint(3, 60)), float(grounded)),
        right=drawn.random() < truth,
        language=drawn.choice(("en", "fr")),
        group="analysts",
        setting=setting,
    )
