"""A text's language is told by words that it cannot do without; an answer may have one of them, or none."""

from __future__ import annotations

import pytest

from appliance.memory.language import language, leaning

SAID = [
    ("The capital of France is Paris.", "en"),
    ("It is open.", "en"),
    ("Das Amt ist geöffnet.", "de"),
    ("Die Mairie.", "de"),
    ("Le bureau est ouvert.", "fr"),
    ("Vous avez raison.", "fr"),
]


@pytest.mark.parametrize(("text", "expected"), SAID)
def test_a_short_answer_leans_to_its_language(text: str, expected: str) -> None:
    assert leaning(text) == expected


@pytest.mark.parametrize("text", ["", "Paris", "42", "Capital: Paris.", "die die the the", "des sich les"])
def test_what_tells_nothing_or_two_things_is_no_language(text: str) -> None:
    assert leaning(text) == "other"


@pytest.mark.parametrize(("text", "expected"), SAID)
def test_one_word_decides_nothing_about_a_document_and_what_it_declares_does(text: str, expected: str) -> None:
    assert language(text) in {expected, "other"}
    assert language("Paris", declared=f"{expected}-CH") == expected
    assert language(f"{text} " * 5, declared="es") == expected
