"""Evidence that people of the new arm fare worse, which may be looked at as often as one likes. Pure.

A person was drawn into the new arm with a known chance ``p``, whatever they do. So if the change made no difference,
nothing that they do tells their arm, and a bet on their arm from how they fared (``bad``, from 0 to 1) is fair: with
``A`` 1 for the new arm and 0 for the old one, ``1 + b (A - p) (bad - m)`` is 1 on average, for every ``b`` and ``m``
that were fixed before. The product over people is a test martingale, so the chance that it ever exceeds ``1 / alpha``
is at most ``alpha`` (Ville 1939), however often one looks, for groups of any size, and without a word on how people
differ or how one person's answers hang together: a person is one observation, because persons are what is drawn. Bets
of several sizes are made at once and averaged (Howard et al. 2021, "Time-uniform, nonparametric, nonasymptotic
confidence sequences"; Waudby-Smith and Ramdas 2023, "Estimating means of bounded random variables by betting").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_BETS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7)
"""Sizes of the bets, as parts of the largest at which nobody can lose everything."""
_GUESS, _GUESSED = 0.1, 2.0
"""How people fare before anybody was seen, and how many people that guess counts for."""
_LEAST = 0.02


@dataclass(frozen=True)
class Observation:
    """One person: in which arm, and how badly they fared, from 0 to 1."""

    new: bool
    bad: float


@dataclass(frozen=True)
class Evidence:
    """``value``: how much the bets stand at; ``most``: the most they ever stood at. People and their mean by arm."""

    value: float
    most: float
    new: int
    old: int
    bad_new: float
    bad_old: float


def evidence(observations: Iterable[Observation], p: float) -> Evidence:
    """What ``observations`` say, in the order in which they were complete; ``p`` is the chance of the new arm.

    Whoever gives them again with more behind them gets the same ``most`` or a larger one.
    """
    wealth = [1.0] * len(_BETS)
    value = most = 1.0
    count, total = {True: 0, False: 0}, {True: 0.0, False: 0.0}
    for one in observations:
        expected = (_GUESS * _GUESSED + sum(total.values())) / (_GUESSED + sum(count.values()))
        expected = min(max(expected, _LEAST), 1 - _LEAST)
        largest = 1 / max((1 - p) * expected, p * (1 - expected))
        move = ((1 if one.new else 0) - p) * (one.bad - expected)
        wealth = [held * (1 + part * largest * move) for held, part in zip(wealth, _BETS, strict=True)]
        value = math.fsum(wealth) / len(wealth)
        most = max(most, value)
        count[one.new] += 1
        total[one.new] += one.bad
    means = [total[arm] / count[arm] if count[arm] else 0.0 for arm in (True, False)]
    return Evidence(value, most, count[True], count[False], *means)
