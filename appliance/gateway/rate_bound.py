"""How refusals are kept from filling the log: one token bucket per (kind, who), in each gateway's memory.

Rule: a caller who is known leaves at most ``BURST`` entries at once and one per ``SECONDS`` after that; all callers
whose token was not valid share ONE bucket, because they have no name. What is not logged is counted, and the count
goes into the next entry of that bucket (and into a metric), so the log states how much it leaves out.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BURST = 10
SECONDS = 6.0
REMEMBERED = 10_000


@dataclass
class _Bucket:
    level: float
    at: float
    suppressed: int = 0


class RateBound:
    """Decides which refusals are written. ``clock`` is monotonic seconds; ``seconds`` is what one entry takes."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, burst: int = BURST, seconds: float = SECONDS
    ) -> None:
        self._clock = clock
        self._burst, self._seconds = float(burst), seconds
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()

    def admit(self, kind: str, who: str) -> int | None:
        """``None``: do not log this one. Otherwise log it, with how many of its kind were left out before."""
        now = self._clock()
        bucket = self._buckets.setdefault((kind, who), _Bucket(self._burst, now))
        self._buckets.move_to_end((kind, who))
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        bucket.level = min(self._burst, bucket.level + (now - bucket.at) / self._seconds)
        bucket.at = now
        if bucket.level < 1:
            bucket.suppressed += 1
            return None
        bucket.level -= 1
        left_out, bucket.suppressed = bucket.suppressed, 0
        return left_out
