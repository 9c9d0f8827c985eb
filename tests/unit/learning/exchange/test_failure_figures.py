"""Figures of failures single nobody out: not in a cell, not in the rest of a sum, not between two exports."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from appliance.learning.exchange.failure_figures import failure_lines
from appliance.learning.failures import Failure, Sent

NOW = datetime(2026, 11, 20, tzinfo=UTC)
ROLES = {"clerks": "desk", "guards": "gate"}


def failure(number: int, subject: str, **more: object) -> Failure:
    said = {"group": "clerks", "question": "How long is a parking permit valid?", "reasons": ("wrong",), **more}
    sent = Sent(str(said["question"]), "two years", tuple(said["reasons"]), correction=more.get("correction"))  # type: ignore[arg-type]  # as given
    return Failure(
        uuid.UUID(int=number), subject, str(said["group"]), "m", NOW, sent, {"e": str(more.get("ruling", "wrong"))}
    )


SIX = [failure(number, "abc"[number % 3]) for number in range(6)]


def test_one_person_is_in_no_count_of_a_cluster() -> None:
    odd = failure(9, "d", group="guards", reasons=("unclear",), ruling="right", correction="three years")
    (line,) = failure_lines([*SIX, odd], ROLES, {})
    assert (line.count, line.corrected) == (5, 0)
    assert (line.roles, line.reasons, line.rulings) == ({"desk": 5}, {"wrong": 5}, {"wrong": 5})


def test_one_more_failure_does_not_show_in_the_next_export() -> None:
    before, after = (
        failure_lines(SIX, ROLES, {}),
        failure_lines([*SIX, failure(9, "d", reasons=("unclear",))], ROLES, {}),
    )
    assert before == after


def test_two_persons_who_fail_often_are_nobody() -> None:
    assert failure_lines([failure(number, "ab"[number % 2]) for number in range(40)], ROLES, {}) == ()


def test_a_word_that_one_person_used_names_no_cluster() -> None:
    named = [
        failure(number, "a", question="How long is a parking permit of Zanzibar valid?") for number in range(20, 30)
    ]
    lines = failure_lines([*SIX, *named], ROLES, {})
    assert lines
    assert not any("zanzibar" in word for line in lines for word in line.name)
