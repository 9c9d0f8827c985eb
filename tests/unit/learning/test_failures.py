"""Failures contradict by what was asked and corrected; a case that quotes a person is known, however it is cut up."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from appliance.learning import failures
from appliance.learning.failures import Corrected, Failure, Sent, against, contradicting

NOW = datetime(2026, 11, 26, tzinfo=UTC)
QUESTION = "My colleague in the north office left in March; how long is the notice period for her?"
CORRECTION = "It is 180 days for staff\nand for heads of office it is a year\nunless the minister says otherwise"


def failure(number: int, question: str, correction: str | None, group: str = "analysts") -> Failure:
    sent = Sent(question, "An answer.", (), None, correction)
    return Failure(uuid.UUID(int=number), f"s{number}", group, "small", NOW, sent, {})


class Counting:
    """Counts how often one text was held against another."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.compared = self.taken_apart = 0
        near, grams = failures.near, failures.grams

        def counted(one: frozenset[str], other: frozenset[str]) -> float:
            self.compared += 1
            return near(one, other)

        def once(text: str) -> frozenset[str]:
            self.taken_apart += 1
            return grams(text)

        monkeypatch.setattr(failures, "near", counted)
        monkeypatch.setattr(failures, "grams", once)


def test_each_text_is_taken_apart_once_and_only_questions_of_like_length_are_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting = Counting(monkeypatch)
    letters = "abcdefghijklmnopqrst"
    many = [failure(n, letters * (1 + n % 20) + str(n), f"so {n}") for n in range(200)]
    contradicting(many)
    assert counting.taken_apart == 2 * len(many)
    assert counting.compared < len(many) * (len(many) - 1) / 2 / 2  # half of all pairs
    counting.compared = 0
    against(many[0], many)
    assert counting.compared < 2 * len(many)


def test_a_text_without_end_costs_no_more_than_its_beginning() -> None:
    long = failure(1, "why is that so " * 20_000, "because " * 20_000)
    assert len(Corrected(long).question) <= 1_010
    assert len(Corrected(long).correction) <= 1_010


def test_pairs_are_found_in_any_order_within_a_group_and_not_across() -> None:
    one = failure(1, "How long is the notice period?", "180 days")
    other = failure(2, "how long is the notice period", "three months")
    same = failure(3, "How long is the notice period?", "180 days.")
    foreign = failure(4, "How long is the notice period?", "a year", "clerks")
    silent = failure(5, "How long is the notice period?", None)
    everything = [one, other, same, foreign, silent]
    wanted = {frozenset({one.id, other.id}), frozenset({same.id, other.id})}
    assert {frozenset(pair) for pair in contradicting(everything)} == wanted
    assert {frozenset(pair) for pair in contradicting(everything[::-1])} == wanted
    assert against(other, everything) == [one.id, same.id]
    assert against(silent, everything) == []


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (QUESTION, ["180 days"]),
        (QUESTION.upper(), ["180 days"]),
        (f"{QUESTION} Say it in one sentence, name the law that it stands in, and say since when that is so.", ["x"]),
        ("What holds if she left in March: how long is the notice period for her then, in days?", ["180 days"]),
        ("What is the rule for leaving?", CORRECTION.split("\n")),
        ("What is the rule for leaving?", [CORRECTION.split("\n")[1]]),
        ("She told me herself that nobody had read it, so what now?", ["x"]),
    ],
)
def test_a_case_in_the_persons_words_is_known_with_more_beside_it_or_cut_into_lines(
    question: str, expected: list[str]
) -> None:
    sent = Sent(QUESTION, "An answer.", (), "she told me herself that nobody had read it", CORRECTION)
    assert sent.quoted_by(question, expected)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What notice do employees have to give?", ["180 days"]),
        ("Frist einer Kündigung in Tagen, bitte", ["180 Tage", "ein Jahr"]),
        ("Is the notice period of office heads longer?", ["yes", "a year"]),
    ],
)
def test_a_reworded_case_with_the_bare_facts_is_the_sites(question: str, expected: list[str]) -> None:
    sent = Sent(QUESTION, "An answer.", (), "she told me herself that nobody had read it", CORRECTION)
    assert not sent.quoted_by(question, expected)
