from __future__ import annotations

from appliance.gateway import rate_bound
from appliance.gateway.rate_bound import BURST, SECONDS, RateBound


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_flood_leaves_a_burst_and_then_one_entry_a_while_that_counts_the_rest() -> None:
    clock = Clock()
    bound = RateBound(clock)
    written = [bound.admit("invalid_token", "nobody") for _ in range(BURST + 500)]
    assert written[:BURST] == [0] * BURST
    assert set(written[BURST:]) == {None}
    clock.now += SECONDS
    assert bound.admit("invalid_token", "nobody") == 500
    assert bound.admit("invalid_token", "nobody") is None


def test_one_callers_flood_does_not_hide_another_caller() -> None:
    bound = RateBound(Clock())
    for _ in range(BURST + 1):
        bound.admit("csrf", "alpha")
    assert bound.admit("csrf", "alpha") is None
    assert bound.admit("csrf", "beta") == 0
    assert bound.admit("quota_exceeded", "alpha") == 0


def test_memory_is_bounded_however_many_callers_there_are() -> None:
    bound = RateBound(Clock())
    for n in range(rate_bound.REMEMBERED + 100):
        bound.admit("csrf", str(n))
    assert len(bound._buckets) == rate_bound.REMEMBERED
