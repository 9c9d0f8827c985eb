"""How old entries are: by their own times, however a clock was set and whoever lies; and never less than six months."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest

from appliance.audit.retention import LEAST_DAYS, Ages, LogTime, Prunable
from tests.audit.aged import START, STEP, millis, records, steady

FAR = millis(START + timedelta(days=10_000))
BUNDLE_DAYS = 256 * STEP.total_seconds() / 86_400


def _prunable(moments: list[datetime], *, days: int = LEAST_DAYS, now: int = FAR, limit: int | None = None) -> Prunable:
    ages = Ages()
    entries = [entry for _, entry in records(moments)]
    for first in range(0, len(entries), 256):
        ages.tell(first, entries[first : first + 256])
    return ages.prunable(days=days, now=now, limit=limit)


def test_whole_bundles_that_are_older_than_six_months_may_go_and_no_others() -> None:
    moments = steady()
    found = _prunable(moments)
    assert found.end % 256 == 0
    assert moments[-1] - moments[found.end] >= timedelta(days=LEAST_DAYS)
    assert moments[-1] - moments[found.end + 256] < timedelta(days=LEAST_DAYS + BUNDLE_DAYS)
    assert found.until is not None
    assert abs(found.until - millis(moments[found.end - 1])) < 32 * STEP.total_seconds() * 1000


@pytest.mark.parametrize("days", [-1, 0, 1, 183])
def test_no_policy_makes_it_less_than_six_months(days: int) -> None:
    assert _prunable(steady(), days=days) == _prunable(steady(), days=LEAST_DAYS)


def test_a_longer_policy_keeps_more() -> None:
    assert 0 < _prunable(steady(), days=250).end < _prunable(steady()).end
    assert _prunable(steady(), days=1000) == Prunable(0)


def test_a_younger_log_gives_nothing_whatever_the_clock_says() -> None:
    assert _prunable(steady(2000)) == Prunable(0)  # 166 days
    assert _prunable([]) == Prunable(0)
    assert _prunable(steady(40)) == Prunable(0)


def test_a_clock_that_was_turned_forward_ages_nothing() -> None:
    moments = steady(1000)
    for after in (1, 32, 300, 2000):
        turned = [START + timedelta(days=800, seconds=n) for n in range(after)]
        assert _prunable([*moments, *turned]) == Prunable(0)


def test_a_clock_that_is_turned_forward_again_and_again_gains_four_days_each_time_at_most() -> None:
    jumps = [START + timedelta(days=30 * (n // 32), seconds=n) for n in range(45 * 32)]
    assert _prunable(jumps) == Prunable(0)


def test_entries_that_lie_about_their_time_move_nothing_as_long_as_they_are_fewer_than_half() -> None:
    random.seed(7)
    moments = steady(1500)
    liars = [
        at + timedelta(days=random.choice((-300, 400, 4000))) if n % 32 < 15 else at for n, at in enumerate(moments)
    ]
    assert _prunable(liars) == Prunable(0)
    honest, lied = steady(), steady()
    for number in range(0, len(lied), 5):
        lied[number] += timedelta(days=5000)
    assert abs(_prunable(lied).end - _prunable(honest).end) <= 256


def test_a_clock_that_is_behind_keeps_everything() -> None:
    assert _prunable(steady(), now=millis(START + timedelta(days=LEAST_DAYS - 1))) == Prunable(0)
    some = _prunable(steady(), now=millis(START + timedelta(days=LEAST_DAYS + 60)))
    assert 0 < some.end < _prunable(steady()).end


def test_a_clock_that_ran_backwards_ages_nothing_twice() -> None:
    there_and_back = [START + timedelta(days=1 if n // 32 % 2 else 0) for n in range(32 * 300)]
    assert _prunable(there_and_back[: 32 * 180]) == Prunable(0)


def test_times_that_jump_back_and_forth_count_once() -> None:
    """As those of a backlog would that bore the times of its own making."""
    moments = [START + timedelta(days=3 * (n // 32 % 2), seconds=n) for n in range(32 * 300)]
    time = LogTime()
    for _, entry in records(moments):
        time.tick(entry)
    assert timedelta(milliseconds=time.passed) < timedelta(days=4)


def test_a_limit_asks_for_less() -> None:
    whole = _prunable(steady())
    some = _prunable(steady(), limit=600)
    assert some.end == 512 < whole.end
    assert some.until is not None
    assert whole.until is not None
    assert some.until < whole.until


def test_what_tells_no_time_takes_its_place_and_ages_nothing() -> None:
    time = LogTime()
    for _ in range(64):
        time.tick(b"no json")
        time.tick(b'{"time": "yesterday"}')
        time.tick(b'{"time": -5}')
        time.tick(b"[1]")
    assert (time.passed, time.latest) == (0, None)
