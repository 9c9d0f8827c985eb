"""Agreement is what is left of it after chance; an expert who labels everything one way shows."""

from __future__ import annotations

import random

import pytest

from appliance.learning.agreement import ENOUGH, agreement, experts, overall


def test_kappa_is_the_one_of_the_textbook() -> None:
    """20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: observed 0.7, chance 0.5, kappa 0.4."""
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    found = agreement(pairs)
    assert (found.count, found.observed) == (50, 0.7)
    assert found.kappa == pytest.approx(0.4)


def test_kappa_has_no_value_where_chance_agrees_always_and_none_without_judgements() -> None:
    assert agreement([("wrong", "wrong")] * 5).kappa is None
    assert agreement([]) == agreement(())
    assert agreement([]).count == 0


def test_two_who_look_agree_and_one_who_does_not_look_shows() -> None:
    draw = random.Random(7)
    truth = [draw.choice(["right", "wrong", "wrong", "unclear"]) for _ in range(60)]
    judged = [(str(n), "careful", one) for n, one in enumerate(truth)]
    judged += [(str(n), "second", one if draw.random() < 0.9 else "unclear") for n, one in enumerate(truth)]
    judged += [(str(n), "lazy", "wrong") for n in range(60)]
    found = {one.subject: one for one in experts(judged)}
    assert [one.one_sided for one in found.values()] == [False, True, False]
    assert found["lazy"].rulings == {"wrong": 60}
    assert found["lazy"].with_others.kappa == pytest.approx(0.0)
    pair = [one for one in judged if one[1] != "lazy"]
    assert (overall(pair).kappa or 0) > 0.8
    assert overall(pair).count == 60


def test_a_few_judgements_are_not_called_one_sided() -> None:
    few = experts([(str(n), "new", "wrong") for n in range(ENOUGH - 1)])
    assert not few[0].one_sided


def test_who_judged_alone_has_a_count_of_nothing() -> None:
    (alone,) = experts([("1", "alone", "right")])
    assert (alone.with_others.count, alone.with_others.kappa) == (0, None)
