from __future__ import annotations

import pytest

from appliance.engine.errors import MemoryBudgetError
from appliance.engine.memory import (
    MIB,
    ModelShape,
    ResidentMemory,
    footprint,
    require_fit,
    require_weights_fit,
)

SHAPE = ModelShape(weights_bytes=253_113_024, layers=18, key_value_width=512, embedding_width=640, vocabulary=262_144)


def test_the_cache_is_counted_for_every_layer_and_the_whole_context() -> None:
    needed = footprint(SHAPE, context_tokens=4096, chunk_tokens=128)
    assert needed.cache == 18 * 512 * 4096 * 2
    assert needed.total == needed.weights + needed.cache + needed.scratch + needed.process


def test_the_demo_model_fits_the_default_budget_and_not_a_smaller_one() -> None:
    needed = footprint(SHAPE, context_tokens=4096, chunk_tokens=128)
    require_fit(needed, 900)
    with pytest.raises(MemoryBudgetError, match="memory_mib grants 400") as refused:
        require_fit(needed, 400)
    assert refused.value.hint is not None


def test_a_longer_context_needs_more() -> None:
    short, long = (footprint(SHAPE, context_tokens=n, chunk_tokens=128) for n in (1024, 8192))
    assert long.total - short.total == 18 * 512 * 7168 * 2


def test_weights_beyond_the_budget_are_refused_before_they_are_loaded() -> None:
    require_weights_fit(100 * MIB, 200)
    with pytest.raises(MemoryBudgetError, match="its weights"):
        require_weights_fit(100 * MIB, 128)


def test_resident_memory_is_read_in_bytes() -> None:
    memory = ResidentMemory()
    assert memory.read() > 8 * MIB
    memory.close()
