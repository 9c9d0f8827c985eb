"""What a gate learns of weights: what was in force may answer, what it let pass may, what it refused may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.learning.weights import judged_weights
from tests.learning.seeded_results import DIGEST, items, of_rows, results
from tests.unit.cli.test_rollout_change import MODEL, WORDS

if TYPE_CHECKING:
    from appliance.learning.results import Results

NEW = "sha256:" + "1b" * 32


def given(weights: str = DIGEST, model: str = "small") -> Results:
    rows = [one.model_copy(update={"model": weights, "group": "analysts"}) for one in results(items(9), 1).rows]
    return of_rows(rows, groups=("analysts",), model=model)


def test_other_weights_under_the_same_name_pass_beside_those_that_were_in_force() -> None:
    assert judged_weights(given(), given(NEW), None, passed=True) == ({"small": (NEW, DIGEST)}, {})


def test_weights_that_were_refused_are_not_those_that_were_in_force() -> None:
    assert judged_weights(given(), given(NEW), None, passed=False) == ({"small": (DIGEST,)}, {"small": (NEW,)})


@pytest.mark.parametrize("passed", [True, False])
def test_a_change_of_words_says_of_its_models_weights_that_they_were_in_force(passed: bool) -> None:  # noqa: FBT001 - pytest gives it by name
    found = judged_weights(given(), given(), WORDS, passed=passed)
    assert found.passed == {"small": (DIGEST,)}
    assert not any(found.refused.values())


def test_weights_of_a_model_that_answered_in_anothers_place_are_known_by_its_own_name() -> None:
    assert judged_weights(given(), given(NEW), MODEL, passed=True).passed == {"small": (DIGEST,), "large": (NEW,)}
    assert judged_weights(given(), given(NEW), MODEL, passed=False) == ({"small": (DIGEST,)}, {"large": (NEW,)})


def test_results_of_two_models_are_kept_apart() -> None:
    found = judged_weights(given(), given(NEW, "large"), None, passed=True)
    assert found.passed == {"small": (DIGEST,), "large": (NEW,)}
