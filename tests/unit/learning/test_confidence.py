"""What an answer gives away of itself, and that nothing is made of numbers that are none."""

from __future__ import annotations

import math
from typing import Any

import pytest

from appliance.learning.confidence import LEAST, WINDOW, Signal, signal


def documents(supported: str = "", passages: int = 1) -> dict[str, Any]:
    claims = [{"citations": [{"passage": 1}] if one == "s" else []} for one in supported]
    return {"passages": [{"number": n} for n in range(passages)], "claims": claims}


def test_features_are_what_their_names_say() -> None:
    said = [-0.1] * 5 + [-2.0] * WINDOW + [-0.1] * 5
    found = signal(said)
    assert found is not None
    assert found.mean == pytest.approx(-11 / 15)
    assert found.lowest == pytest.approx(-2.0)
    assert found.length == pytest.approx(math.log(16))
    assert found.likelihood == pytest.approx(math.exp(-11 / 15))
    assert (found.grounded, found.supported, found.retrieved) == (0.0, 0.0, 0.0)


def test_a_short_answer_has_one_window() -> None:
    found = signal([-1.0, -3.0])
    assert found is not None
    assert (found.mean, found.lowest) == (-2.0, -2.0)


def test_support_is_the_share_of_claims_that_rest_on_a_passage() -> None:
    found = signal([-0.5], documents("s-ss"), [0.4, None, 0.7])
    assert found is not None
    assert (found.grounded, found.supported, found.retrieved) == (1.0, 0.75, 0.7)
    without = signal([-0.5], documents(passages=0), [0.9])
    assert without is not None
    assert (without.grounded, without.supported, without.retrieved) == (0.0, 0.0, 0.0)
    silent = signal([-0.5], documents())
    assert silent is not None
    assert silent.supported == 0.0


@pytest.mark.parametrize("hostile", [math.nan, math.inf, 0.1, 5.0])
def test_what_is_no_logarithm_of_a_probability_gives_no_signal_at_all(hostile: float) -> None:
    assert signal([-0.1, hostile, -0.1]) is None


def test_an_answer_without_tokens_gives_none() -> None:
    assert signal([]) is None


def test_no_token_outweighs_an_answer() -> None:
    found = signal([-math.inf, -1e300])
    assert found is not None
    assert found.mean == LEAST
    assert all(math.isfinite(value) for value in found.told().values())


def test_hostile_cosines_stay_within_bounds() -> None:
    found = signal([-0.5], documents("s"), [math.nan, math.inf, 7.0])
    assert found is not None
    assert found.retrieved == 1.0
    assert Signal(**found.told()).told() == found.told()
