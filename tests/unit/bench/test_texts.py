from __future__ import annotations

from itertools import combinations

from tests.bench.engine import texts


def _common(first: str, second: str) -> str:
    """The beginning that both share."""
    pairs = zip(first, second, strict=False)
    return first[: next((at for at, (mine, other) in enumerate(pairs) if mine != other), min(len(first), len(second)))]


def test_texts_of_different_seeds_share_no_beginning_worth_caching() -> None:
    made = [texts.continued(seed, 10) for seed in range(1, 30)]
    assert max(len(_common(*pair)) for pair in combinations(made, 2)) < 30


def test_questions_after_one_prefix_share_all_of_it_and_no_more_than_their_beginning() -> None:
    prefix = texts.rules(7, 44)
    first, second = texts.asked(prefix, 1), texts.asked(prefix, 2)
    assert _common(first, second).startswith(prefix)
    assert first != second


def test_a_seed_gives_the_same_text_again() -> None:
    assert texts.rules(3, 5) == texts.rules(3, 5)
    assert texts.words(3, 900) == texts.words(3, 900)
    assert len(texts.words(3, 900).split()) == 900
