"""A counter that is slow to read costs no step a wait, and what is told of it comes to what it counted."""

from __future__ import annotations

import random
import threading

import pytest

from appliance.engine.energy import DeclaredDraw, MeasuredDraw, Watch
from appliance.engine.steady import EVERY_S, Line, Steady

BUSY, IDLE = 400.0, 80.0


class Slow:
    """A counter whose readings are written down; ``None`` where it cannot be read."""

    def __init__(self, *readings: float | None) -> None:
        self._readings = list(readings)
        self.asked = 0

    def joules(self) -> float | None:
        self.asked += 1
        return self._readings.pop(0) if len(self._readings) > 1 else self._readings[0]


def test_what_is_told_comes_to_what_was_counted_whatever_is_drawn_and_whenever_it_is_asked() -> None:
    draw, now, counted, told = random.Random(3), 0.0, 0.0, [0.0]
    line = Line(0.0, 0.0)
    for tick in range(600):
        watts = BUSY if tick // 50 % 2 else IDLE
        told += [line.told(now + draw.random() * EVERY_S) for _ in range(draw.randrange(6))]
        now, counted = now + EVERY_S, counted + watts * EVERY_S
        line.read(now, counted)
        assert line.told(now) == pytest.approx(counted, abs=BUSY * 4 * EVERY_S)
    assert told == sorted(told), "a counter never falls"
    for _ in range(10):
        now, counted = now + EVERY_S, counted + IDLE * EVERY_S
        line.read(now, counted)
    assert line.told(now) == pytest.approx(counted, abs=IDLE * EVERY_S)


def test_nothing_is_told_of_long_after_the_last_reading() -> None:
    line = Line(0.0, 100.0)
    line.read(EVERY_S, 140.0)
    assert line.told(60.0) == line.told(1.0) < 140.0 + BUSY * 10 * EVERY_S


def test_a_watched_step_asks_the_counter_nothing() -> None:
    slow = Slow(0.0, 40.0, 80.0)
    now = [0.0]
    steady = Steady(slow, lambda: now[0])
    for _ in range(2):
        now[0] += EVERY_S
        steady.look()
    asked = slow.asked
    watches = [Watch(MeasuredDraw(steady, IDLE, DeclaredDraw(BUSY, IDLE))) for _ in range(100)]
    now[0] += EVERY_S / 10
    assert all(watch.cost().joules == pytest.approx(watches[0].cost().joules) for watch in watches)
    assert (watches[0].cost().joules or 0) > 0
    assert slow.asked == asked


def test_a_counter_that_fails_is_told_as_such_until_it_is_back() -> None:
    steady = Steady(Slow(5.0, None, 50.0), lambda: 0.0)
    assert steady.joules() == 5.0
    steady.look()
    assert steady.joules() is None
    steady.look()
    assert steady.joules() == 50.0


def test_its_own_thread_reads_on() -> None:
    came = threading.Event()

    class Noted(Slow):
        def joules(self) -> float | None:
            if self.asked > 2:
                came.set()
            return super().joules()

    assert Steady(Noted(1.0)).start().joules() == 1.0
    assert came.wait(30)
