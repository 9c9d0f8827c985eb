"""Who is in the new arm: the same people each time, more of them as the share grows, and nobody by their own choice."""

from __future__ import annotations

import random
import uuid

import pytest

from appliance.learning.arms import Arm, arm, chance, place

KEY = b"k" * 32
ID = uuid.UUID(int=1)
STAGES = (10, 50, 100)
PEOPLE = [f"{number:032x}" for number in range(4_000)]


def _new(stage: int, rollout: uuid.UUID = ID, key: bytes = KEY) -> set[str]:
    return {one for one in PEOPLE if arm(place(key, rollout, one), STAGES, stage).new}


def test_a_person_is_always_in_the_same_arm_and_stays_in_the_new_one_as_the_share_grows() -> None:
    few, half, everybody = (_new(stage) for stage in range(3))
    assert few == _new(0)
    assert few < half < everybody == set(PEOPLE)


@pytest.mark.parametrize(("stage", "share"), [(0, 0.1), (1, 0.5)])
def test_the_share_is_what_was_asked_for(stage: int, share: float) -> None:
    assert len(_new(stage)) / len(PEOPLE) == pytest.approx(share, abs=0.03)


def test_two_rollouts_draw_independently() -> None:
    first, second = _new(1), _new(1, uuid.UUID(int=2))
    assert len(first & second) / len(PEOPLE) == pytest.approx(0.25, abs=0.03)


def test_who_does_not_know_the_sites_key_cannot_compute_the_arm() -> None:
    first, guessed = _new(1), _new(1, key=b"g" * 32)
    assert len(first & guessed) / len(PEOPLE) == pytest.approx(0.25, abs=0.03)


def test_places_spread_evenly() -> None:
    places = sorted(place(KEY, ID, one) for one in PEOPLE)
    assert all(0 <= one < 1 for one in places)
    worst = max(abs(one - (at + 0.5) / len(places)) for at, one in enumerate(places))
    assert worst < 1.63 / len(places) ** 0.5  # Kolmogorov and Smirnov, 1 in 100


def test_programs_stay_in_the_old_arm_until_it_is_everybodys_turn() -> None:
    assert [arm(None, STAGES, stage).new for stage in range(3)] == [False, False, True]
    assert not any(arm(None, STAGES, stage).drawn for stage in range(3))


def test_a_stage_compares_those_whom_it_drew_and_nobody_whom_an_earlier_one_gave_the_change() -> None:
    assert arm(0.05, STAGES, 0) == Arm(new=True, drawn=True)
    assert arm(0.05, STAGES, 1) == Arm(new=True, drawn=False)
    assert arm(0.3, STAGES, 1) == Arm(new=True, drawn=True)
    assert arm(0.7, STAGES, 1) == Arm(new=False, drawn=True)


def test_the_chance_is_that_of_whoever_is_drawn() -> None:
    assert [chance(STAGES, stage) for stage in range(3)] == pytest.approx([0.1, 4 / 9, 1.0])
    draw = random.Random(1)
    drawn = [one for one in (draw.random() for _ in range(20_000)) if arm(one, STAGES, 1).drawn]
    assert sum(arm(one, STAGES, 1).new for one in drawn) / len(drawn) == pytest.approx(4 / 9, abs=0.02)
