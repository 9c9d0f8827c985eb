from __future__ import annotations

import json
import math

import pytest

from tests.bench.engine.figures import median, percentile, plain, ratios, spread


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert percentile(values, 0.5) == 3.0
    assert percentile(values, 0.95) == 5.0
    assert percentile(values, 0.0) == 1.0
    assert percentile(list(range(1, 101)), 0.95) == 95
    assert percentile([7.0], 0.95) == 7.0


def test_of_nothing_the_percentile_is_no_promise_kept() -> None:
    assert percentile([], 0.95) == math.inf


def test_ratios_are_of_the_same_round_and_their_median_is_not_that_of_sums() -> None:
    ours, theirs = [10.0, 1.0, 1.0], [100.0, 1.0, 2.0]
    assert ratios(ours, theirs) == [0.1, 1.0, 0.5]
    assert median(ratios(ours, theirs)) == 0.5


def test_a_round_without_a_figure_leaves_no_median_rather_than_a_better_one() -> None:
    assert median([1.0, math.inf, 2.0]) is None
    assert median([]) is None
    assert median(ratios([3.0], [0.0])) is None


def test_rounds_of_different_number_are_not_compared() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0], [1.0, 2.0])


def test_the_spread_is_relative_and_nothing_without_rounds() -> None:
    assert spread([10.0, 10.0, 10.0]) == 0
    assert spread([8.0, 10.0, 12.0]) == pytest.approx(0.1)
    assert spread([1.0]) is None
    assert spread([0.0, 0.0]) is None


def test_what_json_cannot_say_becomes_null() -> None:
    assert json.loads(json.dumps(plain({"a": [math.inf, 1 / 3], "b": 2, "c": math.nan}), allow_nan=False)) == {
        "a": [None, 0.33333],
        "b": 2,
        "c": None,
    }
