"""Evidence of harm: rarely there where nothing is, however often one looks, and soon there where a fall is large."""

from __future__ import annotations

import random

import pytest

from appliance.learning.arms import ALL, chance
from appliance.learning.evidence import Observation, evidence

STAGES = (10, 50, ALL)
ALPHA = 0.05
THRESHOLD = 2 / ALPHA
"""Two stages compare, and share alpha between them."""
RUNS = 1_000
ANSWERS = 5


def people(seed: int, count: int, p: float, old: float, new: float) -> list[Observation]:
    """People who differ: how often an answer goes badly is drawn for each of them about their arm's mean."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        arm = draw.random() < p
        mean = new if arm else old
        own = draw.betavariate(8 * mean, 8 * (1 - mean))
        found.append(Observation(arm, sum(draw.random() < own for _ in range(ANSWERS)) / ANSWERS))
    return found


def harmed(seed: int, count: int, p: float, old: float, new: float) -> bool:
    """Whether harm is found at any of the looks, one after each person."""
    return evidence(people(seed, count, p, old, new), p).most >= THRESHOLD


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_of_a_thousand_rollouts_that_change_nothing_no_more_than_alpha_go_back(rate: float) -> None:
    alarms = 0
    for seed in range(RUNS):
        stages = [harmed(2 * seed + stage, 120, chance(STAGES, stage), rate, rate) for stage in range(2)]
        alarms += any(stages)
    assert alarms / RUNS <= ALPHA


def test_where_everybody_answers_alike_it_is_never_harm() -> None:
    alike = [Observation(number % 3 == 0, 0.2) for number in range(500)]
    assert evidence(alike, 1 / 3).most < THRESHOLD


@pytest.mark.parametrize(
    ("stage", "count", "old", "new"),
    [(0, 200, 0.05, 0.25), (0, 400, 0.1, 0.3), (1, 60, 0.05, 0.4), (1, 150, 0.1, 0.3)],
)
def test_a_fall_of_this_size_is_found_among_so_many_people(stage: int, count: int, old: float, new: float) -> None:
    p = chance(STAGES, stage)
    found = sum(harmed(seed, count, p, old, new) for seed in range(200))
    assert found / 200 >= 0.9


def test_people_of_the_new_arm_who_fare_better_are_no_harm() -> None:
    assert not any(harmed(seed, 200, 0.1, 0.3, 0.05) for seed in range(200))


def test_looking_again_with_more_people_never_takes_evidence_back() -> None:
    found = people(3, 120, 0.1, 0.05, 0.5)
    most = [evidence(found[:count], 0.1).most for count in range(len(found))]
    assert most == sorted(most)


def test_on_average_a_bet_on_nothing_stays_where_it_was() -> None:
    values = [evidence(people(seed, 30, 0.1, 0.2, 0.2), 0.1).value for seed in range(4_000)]
    assert sum(values) / len(values) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("p", [0.01, 0.1, 4 / 9, 0.99])
@pytest.mark.parametrize("bad", [0.0, 1.0])
def test_no_observation_takes_everything(p: float, bad: float) -> None:
    for arm in (True, False):
        assert evidence([Observation(arm, bad)] * 50, p).value > 0
