"""When requests come, and whose they are. Pure and repeatable: a seed gives the same day again.

Gaps are exponential, as arrivals of many people who know nothing of each other are; people are unequal by Zipf's law:
the one of rank ``r`` asks ``1/r`` times as often as the busiest.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Arrival:
    """A request at ``at`` seconds by ``user`` (0 is the busiest), who belongs to ``group``."""

    at: float
    user: int
    group: int


def zipf_weights(users: int, exponent: float = 1.0) -> list[float]:
    """How often each of ``users`` asks, the shares of all adding up to 1."""
    raw = [1 / rank**exponent for rank in range(1, users + 1)]
    return [weight / sum(raw) for weight in raw]


def schedule(rate: float, seconds: float, users: int, groups: int, seed: int) -> list[Arrival]:
    """Arrivals of ``rate`` a second for ``seconds``; at least one, or a slow rate would measure nothing.

    Users are dealt to the groups in turn, so that none has all the busy ones.
    """
    draw = random.Random(seed)
    weights = zipf_weights(users)
    found: list[Arrival] = []
    at = 0.0
    while not found or at < seconds:
        user = draw.choices(range(users), weights)[0]
        found.append(Arrival(min(at, seconds), user, user % groups))
        at += draw.expovariate(rate)
    return found
