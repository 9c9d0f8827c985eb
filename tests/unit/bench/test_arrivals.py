from __future__ import annotations

from collections import Counter

import pytest

from tests.bench.engine.arrivals import schedule, zipf_weights


def test_the_busiest_asks_twice_as_often_as_the_second_and_all_shares_add_up() -> None:
    weights = zipf_weights(64)
    assert sum(weights) == pytest.approx(1)
    assert weights[0] / weights[1] == pytest.approx(2)
    assert weights[0] / weights[63] == pytest.approx(64)


def test_a_seed_gives_the_same_day_again_and_another_seed_another() -> None:
    assert schedule(5, 20, 64, 4, seed=1) == schedule(5, 20, 64, 4, seed=1)
    assert schedule(5, 20, 64, 4, seed=1) != schedule(5, 20, 64, 4, seed=2)


def test_requests_come_in_order_within_the_time_and_as_often_as_asked() -> None:
    arrivals = schedule(50, 100, 64, 4, seed=3)
    times = [arrival.at for arrival in arrivals]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= 100
    assert len(arrivals) / 100 == pytest.approx(50, rel=0.1)


def test_who_asks_follows_the_weights_and_every_group_has_its_users() -> None:
    arrivals = schedule(100, 100, 64, 4, seed=4)
    counted = Counter(arrival.user for arrival in arrivals)
    assert counted[0] / len(arrivals) == pytest.approx(zipf_weights(64)[0], rel=0.1)
    assert {arrival.group for arrival in arrivals} == {0, 1, 2, 3}
    assert all(arrival.group == arrival.user % 4 for arrival in arrivals)


def test_a_slow_rate_still_brings_one_request() -> None:
    assert len(schedule(0.0001, 1, 64, 4, seed=5)) == 1
