from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.engine.distribution import LEAST_LOGPROB, drawn, likeliest, token_logprob

SIZES = st.integers(1, 300)


def _logits(size: int, seed: int, spread: float = 4.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, spread, size).astype(np.float32)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_tokens_are_drawn_as_often_as_the_softmax_says(temperature: float) -> None:
    logits = _logits(150, 3, 2.0)
    grid = (np.arange(20_000) + 0.5) / 20_000
    counts = np.bincount([drawn(logits, temperature, u) for u in grid], minlength=150) / len(grid)
    weights = np.exp((logits.astype(np.float64) - logits.max()) / temperature)
    assert np.abs(counts - weights / weights.sum()).max() < 2 / 20_000


@given(SIZES, st.integers(0, 50), st.floats(0.01, 5), st.floats(0, 1, exclude_max=True))
def test_a_draw_is_a_token_that_can_be_drawn(size: int, seed: int, temperature: float, uniform: float) -> None:
    logits = _logits(size, seed)
    token = drawn(logits, temperature, uniform)
    assert 0 <= token < size
    assert np.exp((logits[token] - logits.max()) / np.float32(temperature)) > 0


def test_a_token_without_a_chance_is_never_drawn_at_either_end() -> None:
    logits = np.array([-np.inf, 1.0, -np.inf] + [-np.inf] * 70, dtype=np.float32)
    assert {drawn(logits, 1.0, u) for u in (0.0, 0.5, np.nextafter(1, 0))} == {1}


@given(SIZES, st.integers(0, 50), st.integers(1, 300))
def test_the_likeliest_are_those_that_sorting_finds_highest_first(size: int, seed: int, count: int) -> None:
    logits = _logits(size * 40, seed)
    ids = likeliest(logits, min(count, len(logits)))
    assert list(logits[ids]) == sorted(logits, reverse=True)[: len(ids)]
    assert len(set(ids.tolist())) == min(count, len(logits))


@given(SIZES, st.integers(0, 50), st.integers(0, 20))
def test_log_probabilities_are_the_softmaxs_and_add_up_to_one(size: int, seed: int, top: int) -> None:
    logits = _logits(size, seed)
    exact = logits.astype(np.float64) - logits.max()
    exact -= np.log(np.exp(exact).sum())
    found = [token_logprob(logits, token, top, lambda token: b"%d" % token) for token in range(size)]
    assert [each.piece for each in found] == [b"%d" % token for token in range(size)]
    assert np.abs(np.array([each.logprob for each in found]) - exact).max() < 1e-4
    assert abs(sum(np.exp(each.logprob) for each in found) - 1) < 1e-3
    best = found[0].top
    assert len(best) == min(top, size)
    assert [logprob for _, logprob in best] == sorted((each.logprob for each in found), reverse=True)[:top]
    assert {each.top for each in found} == {best}


def test_a_token_out_of_the_question_has_the_least_logarithm_not_an_infinity() -> None:
    logits = np.array([0.0, -np.inf], dtype=np.float32)
    assert token_logprob(logits, 1, 2, bytes).logprob == LEAST_LOGPROB
    assert token_logprob(logits, 0, 2, bytes).logprob == 0
