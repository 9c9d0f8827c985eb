"""What the log adds is the difference within a round, so that a slow round of both is no cost of the log's."""

from __future__ import annotations

from tests.bench.gateway_log import judged


def _round(middle: float, tail: float) -> list[float]:
    return [middle] * 98 + [tail] * 2


def test_what_both_gateways_wait_for_is_not_the_logs() -> None:
    bare = [_round(5.0, 9.0), _round(50.0, 90.0), _round(5.0, 9.0)]
    logged = [_round(6.0, 17.0), _round(51.5, 120.0), _round(6.2, 16.0)]
    half, tail = judged({"logged": logged, "bare": bare})
    assert (half.value, half.holds) == (1.2, True)
    assert (tail.value, tail.holds) == (8.0, True)


def test_a_log_that_is_too_slow_does_not_hold() -> None:
    half, tail = judged({"logged": [_round(8.0, 30.0)], "bare": [_round(5.0, 9.0)]})
    assert (half.holds, tail.holds) == (False, False)
