"""Stages of a rollout as site.yaml may state them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from appliance.gateway.rollout_watch import bounds_of
from appliance.learning.comparing import Bounds
from appliance.site.rolling import Rollout


def test_what_nobody_states_is_a_tenth_then_half_then_everybody_by_hand() -> None:
    found = Rollout()
    assert (found.stages, found.advances) == ((10, 50), "by-hand")
    assert bounds_of(found) == Bounds()


@pytest.mark.parametrize("stages", [(), (0,), (100,), (50, 10), (10, 10), tuple(range(1, 8))])
def test_shares_rise_and_everybody_follows_by_itself(stages: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        Rollout(stages=stages)


@pytest.mark.parametrize("alpha", [0.0, 0.21, 1.0])
def test_a_chance_of_false_alarms_that_says_nothing_is_refused(alpha: float) -> None:
    with pytest.raises(ValidationError):
        Rollout(alpha=alpha)
