from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.engine.distribution import drawn
from appliance.engine.llama_sampler import likeliest

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
