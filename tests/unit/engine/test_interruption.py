from __future__ import annotations

import contextlib

import pytest

from appliance.engine.errors import DecodeError, GivenUpError
from appliance.engine.interruption import MOST_S, SHARE, Interruption


class Clocked:
    """An interruption, its clock, and whether decodes are to be given up now."""

    def __init__(self) -> None:
        self.now = 0.0
        self.wanted = False
        self.interruption = Interruption(self._give_up, lambda: self.now)

    def _give_up(self, *, wanted: bool) -> None:
        self.wanted = wanted

    def _compute(self, seconds: float) -> None:
        if self.wanted:
            raise GivenUpError("given up")
        self.now += seconds

    def batch(self, seconds: float, *, came_after: float | None = None, gives_way: bool = True) -> bool:
        """A step whose batch takes ``seconds`` where it is not given up; whether it was."""
        self.interruption.look()
        try:
            with self.interruption.batch("", gives_way=gives_way):
                if came_after is not None:
                    self.now += came_after
                    seconds -= came_after
                    self.interruption.came("")
                self._compute(seconds)
        except GivenUpError:
            assert not self.wanted, "the next decode would fail too"
            return True
        assert not self.wanted
        return False


@pytest.fixture
def clocked() -> Clocked:
    """After many batches of 0.3 s, so that as much may be lost as ever."""
    made = Clocked()
    for _ in range(200):
        assert not made.batch(0.3)
    return made


def test_a_batch_gives_way_to_who_comes_in_its_first_half_and_to_nobody_later(clocked: Clocked) -> None:
    assert clocked.batch(0.3, came_after=0.1)
    assert not clocked.batch(0.3, came_after=0.2)


def test_one_that_gives_no_way_goes_on(clocked: Clocked) -> None:
    assert not clocked.batch(0.3, came_after=0.1, gives_way=False)


def test_nobody_gives_way_before_anything_was_computed() -> None:
    assert not Clocked().batch(0.3, came_after=0.01)


def test_what_is_lost_stays_a_small_share_however_many_come() -> None:
    clocked, lost, computed = Clocked(), 0.0, 0.0
    for _ in range(5000):
        begun = clocked.now
        if clocked.batch(0.3, came_after=0.12):
            lost += clocked.now - begun
        else:
            computed += clocked.now - begun
    assert 0 < lost <= SHARE * computed + MOST_S
    assert lost > 0.8 * SHARE * computed, "and it is used"


def test_who_came_before_the_batch_began_is_looked_at_first_and_costs_nothing(clocked: Clocked) -> None:
    clocked.interruption.look()
    clocked.interruption.came("")
    with pytest.raises(GivenUpError), clocked.interruption.batch("", gives_way=True):
        raise AssertionError("it is computed")
    clocked.interruption.look()
    with clocked.interruption.batch("", gives_way=True):
        assert not clocked.wanted, "whoever was looked at is no reason any more"


def test_however_fast_people_come_every_other_batch_is_computed(clocked: Clocked) -> None:
    computed = 0
    for _ in range(20):
        clocked.interruption.look()
        clocked.interruption.came("")
        with contextlib.suppress(GivenUpError), clocked.interruption.batch("", gives_way=True):
            computed += 1
    assert computed == 10


def test_who_is_computed_with_another_adapter_gains_nothing_by_it(clocked: Clocked) -> None:
    with clocked.interruption.batch("formal", gives_way=True):
        clocked.now += 0.01
        clocked.interruption.came("")
        assert not clocked.wanted
        clocked.interruption.came("formal")
        assert clocked.wanted


def test_between_batches_nothing_is_given_up(clocked: Clocked) -> None:
    clocked.interruption.came("")
    assert not clocked.wanted


def test_a_batch_that_failed_by_itself_is_no_measure_of_what_batches_take(clocked: Clocked) -> None:
    batch = clocked.interruption.batch("", gives_way=True)
    with contextlib.suppress(DecodeError), batch:
        clocked.now += 100
        raise DecodeError("llama_decode returned -3")
    assert not clocked.batch(0.3, came_after=0.2)
