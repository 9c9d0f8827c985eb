"""What a gate learns of weights: what was in force at first may answer, and what passed beside what is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.learning.weights import JudgedWeights, judged_weights, known_after
from tests.learning.seeded_results import DIGEST, items, of_rows, results
from tests.unit.cli.test_rollout_change import MODEL, WORDS

if TYPE_CHECKING:
    from appliance.learning.results import Results

OLD, NEW, NEWER = DIGEST, "sha256:" + "1b" * 32, "sha256:" + "2c" * 32


def given(weights: str = OLD, model: str = "small") -> Results:
    rows = [one.model_copy(update={"model": weights, "group": "analysts"}) for one in results(items(9), 1).rows]
    return of_rows(rows, groups=("analysts",), model=model)


def of(before: str, after: str, *, passed: bool, name: str = "small") -> JudgedWeights:
    return JudgedWeights({"small": (before,)}, {name: (after,)}, passed)


def test_weights_that_answered_in_another_models_place_are_filed_under_their_own_name() -> None:
    assert judged_weights(given(), given(NEW), MODEL, passed=True) == of(OLD, NEW, passed=True, name="large")
    for change in (None, WORDS):
        assert judged_weights(given(), given(NEW), change, passed=True) == of(OLD, NEW, passed=True)


def test_other_weights_under_the_same_name_pass_beside_those_that_were_in_force() -> None:
    assert known_after({}, of(OLD, NEW, passed=True)) == {"small": (NEW, OLD)}
    assert known_after({"small": [NEW, OLD]}, of(NEW, NEWER, passed=True)) == {"small": (NEWER, NEW, OLD)}


def test_weights_that_were_refused_are_known_no_more_and_those_before_are() -> None:
    assert known_after({}, of(OLD, NEW, passed=False)) == {"small": (OLD,)}
    assert known_after({"small": [NEW, OLD]}, of(OLD, NEW, passed=False)) == {"small": (OLD,)}
    refused = known_after({}, of(OLD, NEW, passed=False))
    assert known_after(refused, of(OLD, NEW, passed=True)) == {"small": (NEW, OLD)}


@pytest.mark.parametrize("passed", [True, False])
@pytest.mark.parametrize("after", [NEW, NEWER])
def test_weights_that_nobody_judged_are_not_known_by_serving_while_something_else_is_judged(
    after: str,
    passed: bool,  # noqa: FBT001 - pytest gives it by name
) -> None:
    """As a change of words, tried after the weights came; or one file given twice."""
    assert known_after({"small": [OLD]}, of(NEW, after, passed=passed)) == {"small": (OLD,)}


def test_what_was_refused_in_another_models_place_may_answer_under_its_own_name_as_before() -> None:
    both = {"small": [OLD], "large": [NEW]}
    assert known_after(both, of(OLD, NEW, passed=False, name="large")) == {"small": (OLD,), "large": (NEW,)}
    assert known_after({"small": [OLD]}, of(OLD, NEW, passed=False, name="large")) == {"small": (OLD,)}


def test_a_model_that_answers_in_the_place_of_another_is_not_known_by_that_one_s_name() -> None:
    """In the last stage of a rollout results name the model that people know."""
    known = {"small": [OLD], "large": [NEW]}
    assert known_after(known, of(NEW, NEW, passed=True)) == {"small": (OLD,), "large": (NEW,)}
    assert known_after({"large": [NEW]}, of(NEW, NEW, passed=True)) == {"large": (NEW,)}


def test_nothing_passes_beside_answers_that_were_all_refused() -> None:
    assert known_after({}, JudgedWeights({"small": ()}, {"small": (NEW,)}, passed=True)) == {}
