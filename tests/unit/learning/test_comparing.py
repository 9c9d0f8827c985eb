"""What a stage's answers come to: one observation a person, whatever they do, and failures that need no statistics."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from appliance.audit.ocsf import scalars
from appliance.learning.comparing import SELDOM, Bounds, Counted, compared, figures, observed, told

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BOUNDS = Bounds(of_person=3, settle_minutes=10, people=2, answers=4, errors=3, of_last=5)
STAGES = (10, 50, 100)


def answer(who: str, minutes: float = 0, **about: Any) -> Counted:
    said = {"new": False, "drawn": True, "outcome": "stop", "first_token_s": 0.2, "seconds": 1.0, "tokens": 40}
    return Counted(**{**said, "joules": 2.0, "subject": who, "at": NOON + timedelta(minutes=minutes), **about})


def down(minutes: float) -> dict[str, Any]:
    return {"verdict": "down", "marked": NOON + timedelta(minutes=minutes)}


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_a_person_is_one_observation_once_their_first_answers_are_old_enough_to_have_been_marked() -> None:
    rows = [answer("a", minute, **down(minute)) for minute in range(3)]
    assert observed(rows, BOUNDS, at(11)) == []
    (one,) = observed(rows, BOUNDS, at(12))
    assert (one.new, one.bad) == (False, 1.0)


def test_later_answers_and_later_marks_of_a_person_change_nothing() -> None:
    rows = [answer("a", minute) for minute in range(3)]
    more = [*rows[:2], replace(rows[2], **down(40)), *(answer("a", 20 + n, **down(20 + n)) for n in range(1000))]
    assert observed(more, BOUNDS, at(2000)) == observed(rows, BOUNDS, at(2000))
    assert len(observed(more, BOUNDS, at(2000))) == 1


def test_who_asks_seldom_is_observed_a_day_after_the_first_answer() -> None:
    rows = [answer("a", 0, repeated=True), answer("a", 30)]
    assert observed(rows, BOUNDS, NOON + SELDOM - timedelta(seconds=1)) == []
    (one,) = observed(rows, BOUNDS, NOON + SELDOM)
    assert one.bad == 0.5


def test_people_come_in_the_order_in_which_they_were_complete_and_more_of_them_come_behind() -> None:
    rows = [answer(who, minute, new=who == "b") for minute in range(3) for who in ("b", "a")]
    rows += [answer("c", 60 + minute) for minute in range(3)]
    rows.sort(key=lambda row: row.at)
    early, late = observed(rows, BOUNDS, at(20)), observed(rows, BOUNDS, at(100))
    assert [one.new for one in early] == [False, True]
    assert late[:2] == early
    assert len(late) == 3


def test_whom_the_stage_did_not_draw_is_shown_and_not_observed() -> None:
    rows = [answer("a", minute, new=True, drawn=False, **down(minute)) for minute in range(3)]
    assert observed(rows, BOUNDS, at(100)) == []
    assert compared(rows, STAGES, 1, BOUNDS, at(100)).new.down == 3


@pytest.mark.parametrize(
    "about", [{"outcome": "error"}, {"outcome": "refused"}, {"repeated": True}, {"abandoned": True}, down(1)]
)
def test_an_answer_went_badly_by_any_of_these_signs(about: dict[str, Any]) -> None:
    assert answer("a", 0, **about).bad(at(5))


@pytest.mark.parametrize(
    "about", [{}, {"declined": True}, {"outcome": "length"}, {"outcome": "cancelled"}, {"verdict": "up"}, down(6)]
)
def test_and_not_by_these(about: dict[str, Any]) -> None:
    assert not answer("a", 0, **about).bad(at(5))


def test_failures_of_the_new_arm_end_it_and_those_of_both_do_not() -> None:
    failing = [answer(f"n{n}", n, new=True, outcome="error") for n in range(3)]
    assert "3 of the new arm's last 5 answers failed" in (compared(failing, STAGES, 0, BOUNDS, at(5)).back or "")
    both = failing + [answer(f"o{n}", n, outcome="error") for n in range(3)]
    assert compared(both, STAGES, 0, BOUNDS, at(5)).back is None
    # The engine stood still for both; the old arm has many good answers since, the new arm none yet.
    since = both + [answer(f"p{n}", 4 + n / 10) for n in range(20)]
    assert compared(since, STAGES, 0, BOUNDS, at(9)).back is None
    before = [answer(f"q{n}", -60 + n, outcome="error") for n in range(5)] + failing
    assert compared(before, STAGES, 0, BOUNDS, at(5)).back is not None
    over = failing + [answer(f"m{n}", 3 + n, new=True) for n in range(5)]
    assert compared(over, STAGES, 0, BOUNDS, at(9)).back is None


def test_harm_goes_back_and_says_on_what_it_rests() -> None:
    bounds = replace(BOUNDS, of_person=1)
    rows = [answer(f"{arm}{n}", n, new=arm == "n", **(down(n) if arm == "n" else {})) for n in range(8) for arm in "on"]
    found = compared(rows, STAGES, 0, bounds, at(60))
    assert found.threshold == 40
    assert found.evidence.most >= 40
    assert found.back is not None
    assert "1.000 of their answers went badly and 0.000 of others'" in found.back


def test_enough_is_people_and_answers_of_the_new_arm() -> None:
    rows = [answer(f"n{n}", minute, new=True) for minute in range(3) for n in range(2)]
    assert compared(rows, STAGES, 0, BOUNDS, at(60)).enough
    assert not compared(rows[:3], STAGES, 0, BOUNDS, at(60)).enough
    assert not compared([replace(row, new=False) for row in rows], STAGES, 0, BOUNDS, at(60)).enough
    last = [replace(row, drawn=False) for row in rows]
    assert compared(last, STAGES, 2, BOUNDS, at(60)).enough


def test_figures_keep_their_place_in_an_entry_and_name_nobody() -> None:
    rows = [answer("somebody", 0, new=True, repeated=True), answer("another", 1)]
    said = figures(compared(rows, STAGES, 0, BOUNDS, at(60)))
    assert scalars(said) == said
    assert {"repeated 1", "joules 2.0", "people 1"} <= set(said["new"])
    assert "somebody" not in str(said)


def test_costs_are_means_over_answers_that_did_not_fail() -> None:
    found = told(
        [answer("a", 0, seconds=1.0), answer("b", 1, seconds=3.0), answer("c", 2, seconds=99, outcome="error")]
    )
    assert (found.seconds, found.answers, found.failed) == (2.0, 3, 1)
    assert 0 < found.lower < 1 / 3 < found.upper < 1
    assert (told([]).lower, told([]).upper) == (0.0, 1.0)
