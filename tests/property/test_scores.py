"""Scores are shares, forgive spelling and not substance, and more of what is expected is never worth less."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.learning.cases import Content
from appliance.learning.scoring import score
from appliance.learning.words import nearness

WORDS = st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]), min_size=1, max_size=4)
PHRASE = WORDS.map(" ".join)
DIGESTS = st.sampled_from(["sha256:" + letter * 64 for letter in "abc"])


def case(kind: str, *expected: str, **more: Any) -> Content:
    fields = {"question": "q?", "kind": kind, "expected": expected, "groups": ["g"], "language": "en"}
    return Content.model_validate(fields | more)


@given(st.sampled_from(["exact", "contains", "refusal"]), st.lists(PHRASE, min_size=1, max_size=4), st.text())
def test_every_score_is_a_share(kind: str, expected: list[str], answer: str) -> None:
    assert 0 <= score(case(kind, *expected), answer) <= 1


@given(st.lists(PHRASE, min_size=1, max_size=4), st.text(alphabet=" \t\n"))
def test_an_empty_answer_is_worth_nothing_whatever_was_expected(expected: list[str], answer: str) -> None:
    for kind in ("exact", "contains", "refusal"):
        assert score(case(kind, *expected), answer) == 0
    assert score(case("refusal"), answer) == 0
    assert score(case("cited", *expected), answer, expected) == 0


@given(st.lists(PHRASE, min_size=1, max_size=4))
def test_an_answer_that_says_all_that_is_expected_is_worth_everything(expected: list[str]) -> None:
    assert score(case("contains", *expected), f"Well: {'; '.join(expected)}.") == 1
    assert score(case("exact", *expected), f"  {expected[-1].upper()}. ") == 1


@given(st.lists(PHRASE, min_size=1, max_size=4), PHRASE, PHRASE)
def test_saying_more_is_never_worth_less_where_parts_are_expected(expected: list[str], answer: str, more: str) -> None:
    assert score(case("contains", *expected), f"{answer}. {more}") >= score(case("contains", *expected), answer)


@given(PHRASE, st.lists(PHRASE, min_size=1, max_size=3))
def test_whoever_declines_and_says_it_all_the_same_has_not_declined(said: str, forbidden: list[str]) -> None:
    assert score(case("refusal", *forbidden), "I cannot answer that.") == 1
    assert score(case("refusal", *forbidden), f"I cannot answer that, but {forbidden[0]}.") == 0
    assert score(case("refusal", *forbidden), said) == 0


@given(PHRASE)
def test_part_of_a_word_is_not_the_word(phrase: str) -> None:
    assert score(case("contains", phrase), f"x{phrase}x") == 0


@given(st.lists(DIGESTS, min_size=1, max_size=3, unique=True), st.sets(DIGESTS))
def test_citations_are_worth_the_share_of_documents_that_are_named(expected: list[str], cited: set[str]) -> None:
    assert score(case("cited", *expected), "yes", cited) == len(cited & set(expected)) / len(expected)


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=200)
def test_nearness_is_a_symmetric_share_and_a_text_is_nearest_to_itself(one: str, other: str) -> None:
    assert 0 <= nearness(one, other) <= 1
    assert nearness(one, other) == nearness(other, one)
    assert nearness(one, one) == 1


def test_the_language_of_an_answer_is_read_from_its_words() -> None:
    french = "Le délai est de trente jours et il ne peut pas être prolongé par les services."
    assert score(case("language", "fr"), french) == 1
    assert score(case("language", "de"), french) == 0
