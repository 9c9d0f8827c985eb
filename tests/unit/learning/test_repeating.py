"""What repeats a text word by word is known, however it is broken into lines; what says it otherwise is not."""

from __future__ import annotations

import pytest

from appliance.learning.repeating import LONGEST, Repeated, statements

SAFE = "The safe in the cellar opens at nine with the code 4711. Nobody else is to know."
SHORT = "Dogs sleep upstairs on Sundays."
TEXTS = Repeated(["Visitors may park in bay seven.", SAFE, SHORT])


@pytest.mark.parametrize(
    ("said", "repeats"),
    [
        (SAFE, [1]),
        ("As the rules have it, THE SAFE, in the cellar, opens at nine: take care.", [1]),
        ("the safe in\nthe cellar\n\nopens at\nnine with the code 4711", [1]),
        ("Dogs sleep upstairs on Sundays", [2]),
        ("The safe in the cellar is none of ours, and it opens for guards.", []),
        ("dogs sleep upstairs", []),
        ("In the cellar there is a safe whose code is 4711.", []),
        ("", []),
    ],
)
def test_a_run_of_words_is_found_and_a_rewording_is_not(said: str, repeats: list[int]) -> None:
    assert sorted({number for one in statements(said) for number in TEXTS.by(one)}) == repeats


def test_half_a_word_at_either_end_repeats_nothing() -> None:
    assert Repeated(["unvisitors may park in bay seventeen"]).by("visitors may park in bay seven") == []


@pytest.mark.parametrize("before", range(3 * LONGEST))
def test_a_run_is_found_wherever_it_stands_in_a_text_without_full_stops(before: int) -> None:
    text = " ".join([f"word{n}" for n in range(before)] + SAFE.split()[:8] + [f"after{n}" for n in range(70)])
    assert any(TEXTS.by(one) for one in statements(text))


def test_a_long_text_is_few_statements() -> None:
    assert len(list(statements("word " * 800))) <= 26
