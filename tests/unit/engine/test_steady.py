"""A counter that is slow to read costs no step a wait, and what is told of it comes to what it counted."""

from __future__ import annotations

import itertools
import random
import threading

import pytest

from appliance.engine.energy import DeclaredDraw, MeasuredDraw, Watch
from appliance.engine.metering import Meter
from appliance.engine.steady import EVERY_S, GAP_S, SETTLES_S, Line, Steady

BUSY, IDLE = 400.0, 80.0
DECLARED = DeclaredDraw(BUSY, IDLE)


class Slow:
    """A counter whose readings are written down; ``None`` where it cannot be read."""

    def __init__(self, *readings: float | None) -> None:
        self._readings = list(readings)
        self.asked = 0

    def joules(self) -> float | None:
        self.asked += 1
        return self._readings.pop(0) if len(self._readings) > 1 else self._readings[0]


class Device:
    """A GPU whose counter moves by whole joules, and is read when it suits."""

    def __init__(self, seed: int) -> None:
        self.draw, self.now, self.drawn = random.Random(seed), 0.0, 0.0
        self.line = Line(0.0, 0.0)
        self._next = EVERY_S

    def on(self, seconds: float, watts: float) -> None:
        """So much time goes by."""
        end = self.now + seconds
        while self._next < end:
            self.drawn += watts * (self._next - self.now)
            self.now = self._next
            self.line.read(self.now, self.drawn // 5 * 5)
            self._next += EVERY_S * self.draw.uniform(0.7, 1.6)
        self.drawn, self.now = self.drawn + watts * (end - self.now), end

    def told(self) -> float:
        told = self.line.told(self.now)
        assert told is not None
        return told


def test_what_is_told_comes_to_what_was_drawn_whenever_it_is_asked_and_never_falls() -> None:
    device = Device(3)
    told = [0.0]
    for turn in range(400):
        device.on(device.draw.uniform(0.01, 2), BUSY if turn % 2 else IDLE)
        told.append(device.told())
        assert device.told() == pytest.approx(device.drawn, abs=BUSY * 5 * EVERY_S)
    assert told == sorted(told)
    device.on(10, IDLE)
    assert device.told() == pytest.approx(device.drawn, abs=IDLE * 3 * EVERY_S)


def test_work_of_some_readings_is_charged_what_it_drew_and_shorter_work_what_is_declared() -> None:
    device = Device(5)
    charged = drawn = 0.0
    for _ in range(60):
        device.on(device.draw.uniform(2, 4), IDLE)
        told, before = device.told(), device.drawn
        device.on(4 * SETTLES_S, BUSY)
        charged, drawn = charged + device.told() - told, drawn + device.drawn - before
    assert charged == pytest.approx(drawn, rel=0.2)
    measured = MeasuredDraw(Steady(Slow(0.0)), IDLE, DECLARED, SETTLES_S)
    assert measured.over(0.1, 30.0, SETTLES_S).method == "measured"
    assert measured.over(0.1, 30.0, SETTLES_S - 0.01) == DECLARED.over(0.1)


@pytest.mark.parametrize(("lasting", "method"), [(SETTLES_S / 2, "estimated"), (SETTLES_S * 2, "measured")])
def test_a_request_lasts_from_its_first_step_to_its_end(
    lasting: float, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = MeasuredDraw(Steady(Slow(0.0)), IDLE, DECLARED, SETTLES_S)
    meter = Meter(0.0, 8, draw)
    meter.started(100.0)
    meter.step(Watch(draw).cost(), 1, 16)
    monkeypatch.setattr("appliance.engine.metering.time.monotonic", itertools.repeat(100.0 + lasting).__next__)
    assert meter.end("stop").energy.method == method


def test_long_without_a_reading_there_is_no_figure_and_nothing_of_that_time_is_made_up() -> None:
    line = Line(0.0, 100.0)
    line.read(EVERY_S, 140.0)
    before = line.told(EVERY_S + GAP_S)
    assert before is not None
    assert before < BUSY * GAP_S
    assert line.told(EVERY_S + GAP_S + 0.01) is None
    line.read(60.0, 20_000.0)
    line.read(60.0 + EVERY_S, 20_008.0)
    after = line.told(60.0 + 2 * EVERY_S)
    assert after is not None
    assert before <= after < before + BUSY * EVERY_S


def test_a_counter_that_falls_is_counted_anew() -> None:
    line = Line(0.0, 1000.0)
    line.read(EVERY_S, 1e9)  # one wrong reading
    line.read(2 * EVERY_S, 1080.0)
    at, told = 2 * EVERY_S, line.told(2 * EVERY_S)
    for step in range(1, 20):
        line.read(at + step * EVERY_S, 1080.0 + step * EVERY_S * BUSY)
    later = line.told(at + 19 * EVERY_S)
    assert told is not None
    assert later is not None
    assert later - told == pytest.approx(19 * EVERY_S * BUSY, rel=0.2)


def test_a_watched_step_asks_the_counter_nothing() -> None:
    slow, now = Slow(0.0, 40.0, 80.0), [0.0]
    steady = Steady(slow, lambda: now[0])
    for _ in range(2):
        now[0] += EVERY_S
        steady.look()
    asked = slow.asked
    watches = [Watch(MeasuredDraw(steady, IDLE, DECLARED)) for _ in range(100)]
    now[0] += EVERY_S / 10
    assert all(watch.cost().joules == pytest.approx(watches[0].cost().joules) for watch in watches)
    assert (watches[0].cost().joules or 0) > 0
    assert slow.asked == asked


def test_a_counter_that_fails_is_told_as_such_until_it_is_back_and_goes_on_from_there() -> None:
    now = [0.0]
    steady = Steady(Slow(5.0, None, 50.0), lambda: now[0])
    assert steady.joules() == 0.0
    steady.look()
    assert steady.joules() is None
    now[0] = EVERY_S
    steady.look()
    assert steady.joules() == 0.0


def test_its_own_thread_reads_on() -> None:
    came = threading.Event()

    class Noted(Slow):
        def joules(self) -> float | None:
            if self.asked > 2:
                came.set()
            return super().joules()

    assert Steady(Noted(1.0)).start().joules() == 0.0
    assert came.wait(30)
