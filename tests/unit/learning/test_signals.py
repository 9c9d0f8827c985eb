"""Signs that an answer did not help are read from what is stored, and from nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from appliance.gateway.abstaining import WORDS
from appliance.gateway.grounding import Grounding, rested
from appliance.learning.signals import SOON, Asked, declined, repeated, signals, turned_down

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Said:
    role: str
    content: str
    created: datetime


@pytest.mark.parametrize(
    "answer",
    [
        "I cannot answer that from the documents.",
        "I\N{RIGHT SINGLE QUOTATION MARK}m sorry, but that is not something I may share.",
        "Je ne peux pas répondre à cette question.",
        "Je suis désolé, cela ne figure dans aucun document.",
        "Das kann ich Ihnen nicht sagen.",
        "Ich kann dazu leider nichts sagen.",
        "Leider habe ich dazu keine Angaben.",
        "Ich weiß es nicht.",
        "I do not have access to that information.",
        "I don't have any information about it.",
        "That is not in the documents.",
        "Nothing in the documents answers this.",
    ],
)
def test_an_answer_that_declines_is_seen_in_three_languages(answer: str) -> None:
    assert declined(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "The notice period is 180 days.",
        "Le préavis est de 180 jours.",
        "Die Frist beträgt 180 Tage.",
        "You cannot park here for longer than two hours.",
        "I do not have any objection: the notice period is 180 days.",
        "Nothing in the documents contradicts it: yes.",
        "Man kann hier nicht länger als zwei Stunden parken.",
        "",
        "The rule is long. " * 30 + "I cannot say more.",
    ],
)
def test_an_answer_that_answers_is_not_one_that_declines(answer: str) -> None:
    assert not declined(answer)


@pytest.mark.parametrize("language", WORDS)
def test_what_the_site_says_where_no_document_fits_is_declining_by_the_receipt(language: str) -> None:
    abstained = rested(WORDS[language], Grounding((), abstain=True), ())
    assert abstained["outcome"] == "abstained"
    assert turned_down(WORDS[language], {"documents": abstained})
    assert not turned_down("It is 180 days.", {"documents": rested("It is 180 days.", Grounding(()), ())})
    assert signals([], Asked("Who?", NOW), WORDS[language], "stop", {"documents": abstained}) == ("declined",)


@pytest.mark.parametrize(
    ("text", "minutes", "expected"),
    [
        ("how long is the notice period", 5, True),
        ("How long is the notice periode?", 5, True),
        ("how long is the notice period", 11, False),
        ("how long is the lunch break", 5, False),
        ("how long is the notice period", -1, False),
    ],
)
def test_a_question_counts_as_repeated_when_nearly_the_same_was_asked_soon_before(
    text: str, minutes: int, *, expected: bool
) -> None:
    earlier = [Asked(text, NOW - timedelta(minutes=minutes))]
    assert repeated(Asked("How long is the notice period?", NOW), earlier) is expected


def test_words_that_everybody_says_twice_are_no_repetition() -> None:
    assert not repeated(Asked("go on", NOW), [Asked("go on", NOW - SOON / 2)])


def test_a_turn_gives_each_sign_once_and_an_abandoned_answer_is_not_read_as_declining() -> None:
    history = [Said("user", "How long is the notice period?", NOW - SOON / 2), Said("assistant", "Hm.", NOW)]
    again = Asked("how long is the notice period", NOW)
    assert signals(history, again, "I cannot say.", "stop") == ("repeated", "declined")
    assert signals(history, again, "I cannot", "cancelled") == ("repeated", "abandoned")
    assert signals([], again, "180 days.", "stop") == ()
