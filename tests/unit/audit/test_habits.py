"""What a report calls unusual, it calls so by its rules, against the user's own past, and for nobody else."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit.habits import DAYS, MANY, MAX_UNUSUAL, SOME, Day, Habits, Unusual, explained
from appliance.audit.tally import Figures, Tally

if TYPE_CHECKING:
    from collections.abc import Mapping


def day(requests: Mapping[str, int], refusals: Mapping[str, int] | None = None, hour: int = 9) -> Figures:
    figures = Figures()
    for user, count in requests.items():
        figures.by_user[user].add(Tally(requests=count))
        figures.hours[f"{user} {hour:02d}"] += count
    for user, count in (refusals or {}).items():
        figures.by_user[user].add(Tally(refusals=count))
    return figures


def with_past(*days: Figures, usual: int = 10) -> Habits:
    """Somebody (s1) with a past of ``usual`` requests a day in the morning, and what came after it."""
    habits = Habits()
    for number in range(DAYS):
        habits.add(f"2026-11-{number + 1:02d}", day({"s1": usual}))
    for number, figures in enumerate(days):
        habits.add(f"2026-11-{number + 20:02d}", figures)
    return habits


def test_a_day_like_others_is_not_unusual() -> None:
    assert with_past(day({"s1": 12})).unusual() == []


def test_many_more_requests_than_on_a_usual_day_are() -> None:
    assert with_past(day({"s1": 51})).unusual() == [Unusual("2026-11-20", "s1", "volume", 51, 10)]
    assert with_past(day({"s1": 50})).unusual() == []


def test_few_requests_are_never_many() -> None:
    assert with_past(day({"s1": MANY - 1}), usual=1).unusual() == []


def test_somebody_new_has_no_past_to_be_compared_with() -> None:
    assert with_past(day({"s2": 5000})).unusual() == []


def test_hours_in_which_somebody_never_worked_are_unusual_for_them_only() -> None:
    habits = with_past(day({"s1": SOME}, hour=3))
    assert habits.unusual() == [Unusual("2026-11-20", "s1", "off_hours", SOME, 0)]
    for number in range(DAYS):
        habits.add(f"2026-10-{number + 1:02d}", day({"night": 10}, hour=3))
    habits.add("2026-11-21", day({"night": 10}, hour=3))
    assert [one.subject for one in habits.unusual()] == ["s1"]


@pytest.mark.parametrize(("served", "refused", "told"), [(0, SOME, True), (SOME, SOME, False), (0, SOME - 1, False)])
def test_more_refusals_than_requests_are_also_for_somebody_new(served: int, refused: int, *, told: bool) -> None:
    habits = Habits()
    habits.add("2026-11-20", day({"s2": served}, {"s2": refused}))
    assert bool(habits.unusual()) == told


def test_a_day_that_is_told_in_parts_is_one_day() -> None:
    habits = with_past(day({"s1": 26}))
    habits.add("2026-11-20", day({"s1": 25}))
    assert [(one.rule, one.seen) for one in habits.unusual()] == [("volume", 51)]


def test_hours_of_any_shape_break_nothing() -> None:
    habits = with_past()
    habits.add("2026-11-20", Figures(hours=Counter({"s1 x": 1, "": 2, "s1 99": 3, " 07": 4})))
    assert habits.unusual() == []


class CountingDays(dict[str, Day]):
    """Days of one user that count how often one of them is looked at."""

    looks = 0

    def __getitem__(self, name: str) -> Day:
        type(self).looks += 1
        return CountedDay(super().__getitem__(name))


class CountedDay(Day):
    """A day that counts as well."""

    def __init__(self, day: Day) -> None:
        super().__init__(day.requests, day.refusals, day.hours)

    def __getattribute__(self, name: str) -> Any:
        CountingDays.looks += name in {"requests", "hours"}
        return super().__getattribute__(name)


@pytest.mark.parametrize("count", [100, 1000])
def test_a_day_costs_the_same_however_many_came_before(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CountingDays, "looks", 0)
    days = CountingDays({f"{number:06d}": Day(requests=10, hours=Counter({9: 10})) for number in range(count)})
    assert Habits({"s1": days}).unusual() == []
    assert count < CountingDays.looks <= 12 * count


def test_usual_is_the_median_of_earlier_days_also_of_an_even_number() -> None:
    habits = Habits()
    for number, requests in enumerate((1, 9, 3, 5, 4, 6)):
        habits.add(f"2026-11-{number + 1:02d}", day({"s1": requests}))
    habits.add("2026-11-20", day({"s1": 23}))
    assert [(one.rule, one.usual) for one in habits.unusual()] == [("volume", 4.5)]


def test_what_is_unusual_later_does_not_push_out_what_a_period_covers() -> None:
    habits = with_past(day({"s1": 51}))
    for number in range(MAX_UNUSUAL + 1):
        habits.add("2026-12-01", day({}, {f"u{number}": SOME}))
    assert len(habits.unusual()) == MAX_UNUSUAL
    assert [one.subject for one in habits.unusual(lambda name: name < "2026-12")] == ["s1"]


@pytest.mark.parametrize("rule", ["volume", "off_hours", "refusals"])
def test_every_rule_is_told_with_its_numbers(rule: str) -> None:
    assert "1,234" in explained(Unusual("2026-11-20", "s1", rule, 1234, 7))
