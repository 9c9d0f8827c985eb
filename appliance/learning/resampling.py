"""Paired bootstrap: whether two systems differ by more than the luck of which cases there are.

Koehn (2004), "Statistical significance tests for machine translation evaluation": cases are drawn anew with
replacement, always with both systems' scores, and the share of draws in which the sign of the difference turns is how
likely luck alone is. The draws are numpy's PCG64 from a stated seed, so that anybody can repeat them. The method is
known to be optimistic for few cases (Riezler and Maxwell 2005), which is why ``gate`` wants a number of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

RESAMPLES = 10_000
SEED = 12_345
LEVEL = 0.95
_BLOCK = 1_000


@dataclass(frozen=True)
class Difference:
    """The mean of ``count`` paired differences with its percentile interval of ``LEVEL``, and how likely luck is.

    ``p_lower``: chance to see such a fall, were there none; ``p_higher``: such a rise. Neither is ever 0: it is at
    least one in the number of resamples plus one (Davison and Hinkley 1997, section 4.2).
    """

    count: int
    mean: float
    lower: float
    upper: float
    p_lower: float
    p_higher: float


def difference(differences: Sequence[float], *, resamples: int = RESAMPLES, seed: int = SEED) -> Difference:
    """``differences`` are new minus old, one a case; there is at least one. The order of cases does not matter."""
    import numpy as np  # noqa: PLC0415 - a command that judges nothing does without

    values, counts = np.unique(np.asarray(differences, dtype=float), return_counts=True)
    count = int(counts.sum())
    draw = np.random.default_rng(seed)
    blocks = [min(_BLOCK, resamples - at) for at in range(0, resamples, _BLOCK)]  # memory for one block at a time
    shares = counts / count  # equal cases are one lot
    means = np.concatenate([draw.multinomial(count, shares, size=size) @ values / count for size in blocks])
    tail = (1 - LEVEL) / 2
    lower, upper = (float(bound) for bound in np.quantile(means, (tail, 1 - tail)))
    rose, fell = (int(np.count_nonzero(one)) for one in (means >= 0, means <= 0))
    mean = float(values @ counts / count)
    return Difference(count, mean, lower, upper, (rose + 1) / (resamples + 1), (fell + 1) / (resamples + 1))


def holm(chances: Sequence[float], alpha: float) -> list[bool]:
    """Which of several findings hold together at ``alpha`` (Holm 1979): among many slices one falls by luck."""
    order = sorted(range(len(chances)), key=lambda index: chances[index])
    held = [False] * len(chances)
    for rank, index in enumerate(order):
        if chances[index] > alpha / (len(chances) - rank):
            break
        held[index] = True
    return held
