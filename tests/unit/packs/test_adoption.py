"""A pack is put in force unless something vital fails, or answers become worse beyond noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.packs.adoption import judged
from tests.learning.seeded_results import harder, items, of_rows, results, slower

if TYPE_CHECKING:
    from appliance.learning.results import Results

RESAMPLES = 2_000
ROWS = results(items(), 11).rows


def answered(failing: int, *, elsewhere: float = 1.0) -> Results:
    """65 cases of which the first 16 must never fail, and the first ``failing`` do; the others score ``elsewhere``."""
    rows = []
    for number, row in enumerate(ROWS[:65]):
        score = float(number >= failing) if number < 16 else elsewhere
        rows.append(row.model_copy(update={"vital": number < 16, "score": score, "group": "clerks"}))
    return of_rows(rows, groups=("clerks",))


def calm(seed: int, *change: object) -> Results:
    """A run whose vital cases are none, so that averages alone decide."""
    rows = [row.model_copy(update={"vital": False}) for row in results(items(), seed, *change).rows]  # type: ignore[arg-type]  # one change at most
    return of_rows(rows)


def test_nine_broken_refusals_among_sixty_five_do_not_pass_however_much_else_improves() -> None:
    decision = judged(answered(16, elsewhere=0.0), answered(9), resamples=RESAMPLES)
    assert not decision.passed
    assert len(decision.refusals) == 9
    assert all("vital case" in one and one.endswith("does not hold") for one in decision.refusals)
    assert judged(answered(16, elsewhere=0.0), answered(0), resamples=RESAMPLES).passed


@pytest.mark.parametrize("failing", [1, 2, 9, 16])
def test_a_vital_case_that_fails_stops_it_though_it_failed_before(failing: int) -> None:
    same = answered(failing)
    decision = judged(same, same, resamples=RESAMPLES)
    assert len(decision.refusals) == failing


def test_worse_beyond_noise_is_refused_and_luck_is_not() -> None:
    assert judged(calm(11), calm(33), resamples=RESAMPLES).passed
    decision = judged(calm(11), calm(33, harder(0.4)), resamples=RESAMPLES)
    assert "all is worse beyond noise" in decision.refusals


def test_what_a_trial_costs_is_shown_and_stops_nothing() -> None:
    decision = judged(calm(11), calm(11, slower(3.0, "joules")), resamples=RESAMPLES)
    assert decision.passed
    assert {one.name: one.state for one in decision.slices}["joules"] == "shown"
