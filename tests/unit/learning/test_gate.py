"""The gate stops what is worse beyond noise, lets through what is not, and says by which figures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from appliance.learning.errors import ResultError
from appliance.learning.gate import ENOUGH, decide
from tests.learning.seeded_changes import (
    CASES,
    NEUTRAL_OR_BETTER,
    REGRESSIONS,
    RESAMPLES,
    chained,
    neutral_or_better,
    regression,
)
from tests.learning.seeded_results import harder, leaking, of_rows, results, slower

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.learning.results import Results
    from tests.learning.seeded_results import Item

LOST = {"score": 0.0, "declined": False, "seconds": 0.0, "joules": 0.0, "tokens": 0, "model": None, "entry": None}


@pytest.mark.parametrize("name", REGRESSIONS)
def test_it_stops_a_regression_and_names_where(name: str) -> None:
    decision = regression(name)
    assert not decision.passed
    assert any(REGRESSIONS[name][1] in refusal for refusal in decision.refusals)


@pytest.mark.parametrize("name", NEUTRAL_OR_BETTER)
def test_it_lets_through_what_is_the_same_or_better(name: str) -> None:
    assert neutral_or_better(name).refusals == ()


def test_a_change_of_nothing_is_stopped_no_oftener_than_was_said() -> None:
    """Of 40 pairs of runs of one system, 2 may be stopped by luck at the level that the gate states."""
    stopped = [
        not decide(results(CASES, 1000 + n), results(CASES, 2000 + n), resamples=1_000).passed for n in range(40)
    ]
    assert sum(stopped) <= 5


@pytest.mark.parametrize(
    ("claim", "change"),
    [
        ("all", harder(-0.2)),
        ("language=fr", harder(-0.4, language="fr")),
        ("kind=exact", harder(-0.4, kind="exact")),
        ("seconds", slower(0.8)),
    ],
)
def test_a_claimed_improvement_has_to_be_there(claim: str, change: Callable[[Item], Item]) -> None:
    before = results(CASES, 11)
    assert decide(before, results(CASES, 33, change), [claim], resamples=RESAMPLES).passed
    unchanged = decide(before, results(CASES, 33), [claim], resamples=RESAMPLES)
    assert unchanged.refusals == (f"{claim} is not better, as was claimed",)


def test_averages_do_not_make_up_for_a_vital_case() -> None:
    after = results(CASES, 33, chained(harder(-0.5), leaking(40)))
    decision = decide(results(CASES, 11), after, resamples=RESAMPLES)
    assert [one.state for one in decision.slices if one.name == "all"] == ["better"]
    (refusal,) = decision.refusals
    assert refusal.startswith("vital case ")


def test_whoever_leaves_out_what_fails_does_not_pass() -> None:
    before, after = results(CASES, 11), results(CASES, 33)
    drawn = [row.drawn for row in after.rows]
    with pytest.raises(ResultError, match="the second has 239 of 240 cases"):
        decide(before, of_rows(list(after.rows[1:]), drawn=drawn))
    with pytest.raises(ResultError, match="25 of 240 cases were withdrawn since"):
        decide(before, of_rows(list(after.rows[25:])))
    changed = [replace_digest(after.rows[0]), *after.rows[1:]]
    with pytest.raises(ResultError, match="is another in the second"):
        decide(before, of_rows(changed))


def test_a_site_lives_on_between_two_runs_and_what_was_withdrawn_is_named_vital_ones_first() -> None:
    """Some were withdrawn before the second run was drawn, some while it went on; one is new."""
    before, after = results(CASES, 11), results(CASES, 33)
    gone = [after.rows[39].drawn, after.rows[40].drawn]  # the latter is vital, as is the one that was not drawn at all
    second = of_rows([row for row in after.rows[1:] if row.drawn not in gone], withdrawn=gone)
    decision = decide(before, second, resamples=RESAMPLES)
    assert decision.passed
    assert (decision.cases, decision.new_cases) == (237, 0)
    assert decision.withdrawn == tuple(f"{before.rows[at].case} 1" for at in (0, 40, 39))
    figures = decision.figures()
    assert (figures["withdrawn_cases"], len(figures["withdrawn"])) == (3, 3)
    one_less = of_rows(list(before.rows[1:]), withdrawn=[before.rows[0].drawn])
    assert decide(one_less, after, resamples=RESAMPLES).new_cases == 1


def test_a_refused_case_is_worth_nothing_and_a_vital_one_stops_the_change() -> None:
    before, after = results(CASES, 11), results(CASES, 33)

    def refused(at: int) -> Results:
        lost = after.rows[at].model_copy(update={**LOST, "refused": "context_length_exceeded"})
        return of_rows([*after.rows[:at], lost, *after.rows[at + 1 :]])

    assert decide(before, refused(1), resamples=RESAMPLES).passed
    assert decide(before, refused(40), resamples=RESAMPLES).refusals == (
        f"vital case {after.rows[40].case} held and holds no more",
    )


def replace_digest(row: object) -> object:
    return row.model_copy(update={"digest": "sha256:" + "00" * 32})  # type: ignore[attr-defined]


def test_cases_that_are_new_are_counted_and_judge_nothing() -> None:
    before = of_rows(list(results(CASES, 11).rows[:100]))
    decision = decide(before, results(CASES, 33), resamples=RESAMPLES)
    assert (decision.cases, decision.new_cases) == (100, 140)


def test_an_unfinished_run_few_cases_and_other_settings_decide_nothing() -> None:
    rows = list(results(CASES, 11).rows)
    whole = of_rows(rows)
    with pytest.raises(ResultError, match="239 of 240"):
        decide(whole, of_rows(rows[1:], drawn=[row.drawn for row in rows]))
    with pytest.raises(ResultError, match=f"{ENOUGH - 1} cases decide nothing"):
        decide(of_rows(rows[: ENOUGH - 1]), whole)
    for changes in ({"temperature": 0.0}, {"seed": 8}, {"max_tokens": 8}):
        with pytest.raises(ResultError, match="drawn differently"):
            decide(whole, of_rows(rows, **changes))


@pytest.mark.parametrize("claim", ["everything", "group=nobody", "", "all=all", "group=", "seconds=1"])
def test_a_claim_about_nothing_is_refused(claim: str) -> None:
    with pytest.raises(ResultError, match="names no slice"):
        decide(results(CASES, 11), results(CASES, 33), [claim])


def test_slices_with_few_cases_are_shown_and_judge_nothing() -> None:
    few = [replace(item, group="rare") if item.number < ENOUGH - 1 else item for item in CASES]
    decision = decide(results(few, 11), results(few, 33, harder(1.0, group="rare")), resamples=RESAMPLES)
    states = {one.name: one.state for one in decision.slices}
    assert states["group=rare"] == "too few"
    assert not any("rare" in refusal for refusal in decision.refusals)


def test_the_decision_is_the_same_for_everybody_who_repeats_it() -> None:
    before, after = results(CASES, 11), results(CASES, 33, harder(0.1))
    one = decide(before, after, resamples=RESAMPLES)
    mixed = of_rows(list(reversed(after.rows)))
    other = decide(before, mixed, resamples=RESAMPLES)
    assert [s.told() for s in one.slices] == [s.told() for s in other.slices]
    assert decide(before, after, resamples=RESAMPLES, seed=1).slices != one.slices


def test_time_is_judged_where_it_is_claimed_and_shown_otherwise() -> None:
    before, after = results(CASES, 11), results(CASES, 33, slower(1.5))
    assert [one.state for one in decide(before, after).slices if one.name == "seconds"] == ["shown"]
    claimed = decide(before, after, ["seconds"], resamples=RESAMPLES)
    assert "seconds is not better, as was claimed" in claimed.refusals


def test_whoever_asks_for_other_groups_compares_nothing_and_a_new_vital_case_has_to_hold() -> None:
    after = results(CASES, 33)
    of_one = of_rows([row for row in results(CASES, 11).rows if row.group == "clerks"], groups=["clerks"])
    with pytest.raises(ResultError, match="only one of the two asked for analysts, officers"):
        decide(of_one, after)
    with pytest.raises(ResultError, match="only one of the two"):
        decide(after, of_one)
    without = of_rows([row for row in results(CASES, 11).rows if row.case != after.rows[80].case])
    assert decide(without, after, resamples=RESAMPLES).passed
    decision = decide(without, results(CASES, 33, leaking(80)), resamples=RESAMPLES)
    assert decision.refusals == (f"vital case {after.rows[80].case} is new and does not hold",)
