"""Nearness on one scale: thresholds that were chosen with one model hold for another."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.learning.clusters import LEAST_OF_VECTORS, by_vectors, clustered
from appliance.memory.nearness import CHOSEN_WITH, nearness


@pytest.mark.parametrize("unrelated", [0, 16, 50, 81, 99])
def test_unrelated_texts_come_to_the_same_and_a_text_is_as_near_to_itself_as_ever(unrelated: int) -> None:
    assert nearness(1.0, unrelated) == 1.0
    assert nearness(unrelated / 100, unrelated) == pytest.approx(CHOSEN_WITH / 100)
    steps = [nearness(cosine / 10, unrelated) for cosine in range(-10, 11)]
    assert steps == sorted(steps)


def test_a_model_that_says_nothing_and_the_one_that_thresholds_were_chosen_with_are_taken_as_they_are() -> None:
    for cosine in (-0.3, 0.45):
        assert (nearness(cosine, None), nearness(cosine, CHOSEN_WITH)) == (cosine, cosine)


def test_what_unrelated_vectors_have_in_common_puts_nothing_together() -> None:
    common = np.array([3.0, 0, 0, 0])
    alike = by_vectors(np.array([common + one for one in np.eye(4)[1:]]))
    assert clustered(alike, LEAST_OF_VECTORS) == [[0, 1, 2]]
    assert clustered(nearness(alike, 90), LEAST_OF_VECTORS) == [[0], [1], [2]]
