"""What people asked in vain says what a brief needs: the more alike the more, and nothing where they contradict."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from appliance.gateway.brief_inputs import needed
from appliance.learning.failures import Failure, Sent

if TYPE_CHECKING:
    from appliance.memory.brief_choice import Need

AT = datetime(2026, 3, 2, tzinfo=UTC)


def failure(number: int, question: str, correction: str | None = None) -> Failure:
    sent = Sent(question, "It is so.", correction=correction)
    return Failure(uuid.UUID(int=number), f"subject{number}", "clerks", "small", AT, sent, {})


def told(needs: list[Need]) -> dict[str, int]:
    return {need.question: need.count for need in needs}


def test_questions_that_are_alike_weigh_as_many_as_they_are() -> None:
    needs, disputed = needed(
        [
            failure(1, "Where do bicycles stand in the yard?"),
            failure(2, "Where may bicycles stand in the yard at night?"),
            failure(3, "When does the canteen serve lunch?"),
        ]
    )
    assert told(needs) == {
        "Where do bicycles stand in the yard?": 2,
        "Where may bicycles stand in the yard at night?": 2,
        "When does the canteen serve lunch?": 1,
    }
    assert disputed == set()


def test_what_was_corrected_says_what_was_meant_unless_somebody_else_said_otherwise() -> None:
    question = "How long is the notice period of a contract?"
    needs, disputed = needed([failure(1, question, "It is ninety days.")])
    assert f"{question}\nIt is ninety days." in told(needs)
    assert disputed == set()
    two = [failure(1, question, "It is ninety days."), failure(2, question, "Half a year, always.")]
    needs, disputed = needed(two)
    assert set(told(needs)) == {question}
    assert disputed == {str(one.id) for one in two}


def test_of_nothing_nothing_is_needed() -> None:
    assert needed([]) == ([], set())
