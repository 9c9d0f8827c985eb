from __future__ import annotations

import pytest

from appliance.engine.errors import MemoryBudgetError
from appliance.engine.memory import (
    MIB,
    Layout,
    ModelShape,
    ResidentMemory,
    fitted,
    footprint,
    require_on_device,
    require_weights_fit,
)

SHAPE = ModelShape(weights_bytes=253_113_024, layers=18, key_value_width=512, embedding_width=640, vocabulary=262_144)


BATCH = 256


def _needed(slots: int, cells: int) -> int:
    return footprint(SHAPE, Layout(slots, cells), batch_tokens=BATCH).total


def test_the_cache_is_counted_for_every_layer_every_cell_and_copies_of_a_quarter_of_them() -> None:
    needed = footprint(SHAPE, Layout(1, 4096), batch_tokens=BATCH)
    assert needed.cache == 18 * 512 * 4096 * 2
    assert needed.copies == 18 * 512 * 1024 * 2
    assert needed.total == needed.weights + needed.cache + needed.copies + needed.scratch + needed.process


def test_every_request_side_by_side_needs_its_rows_of_logits() -> None:
    assert _needed(16, 4096) - _needed(8, 4096) == 2 * 2 * 16 * SHAPE.vocabulary * 4


def test_the_demo_model_fits_the_default_budget_and_not_a_smaller_one() -> None:
    layout = fitted(SHAPE, 4096, slots=24, batch_tokens=BATCH, budget_mib=900)
    assert layout.slots == 24
    assert layout.cells >= 4096
    with pytest.raises(MemoryBudgetError, match="memory_mib grants 400") as refused:
        fitted(SHAPE, 4096, slots=24, batch_tokens=BATCH, budget_mib=400)
    assert refused.value.hint is not None


@pytest.mark.parametrize("budget", [560, 600, 700, 900, 2000, 9000])
@pytest.mark.parametrize("slots", [1, 8, 24, 64])
def test_what_fits_is_used_and_no_more(budget: int, slots: int) -> None:
    layout = fitted(SHAPE, 4096, slots=slots, batch_tokens=BATCH, budget_mib=budget)
    assert 1 <= layout.slots <= slots
    assert 4096 <= layout.cells <= layout.slots * 4096
    assert layout.cells % 256 == 0
    assert _needed(layout.slots, layout.cells) <= budget * MIB
    assert layout.sequences <= 256
    if layout.cells < layout.slots * 4096:
        assert _needed(layout.slots, layout.cells + 256) > budget * MIB


def test_weights_beyond_the_budget_are_refused_before_they_are_loaded() -> None:
    require_weights_fit(100 * MIB, 200)
    with pytest.raises(MemoryBudgetError, match="its weights"):
        require_weights_fit(100 * MIB, 128)


def test_what_a_gpu_holds_is_all_but_the_process_and_copies_and_must_be_free_there() -> None:
    needed = footprint(SHAPE, Layout(8, 8192), batch_tokens=BATCH)
    assert needed.on_device == needed.total - needed.process - needed.copies
    require_on_device(needed.on_device, needed.on_device)
    with pytest.raises(MemoryBudgetError, match="MiB on the GPU, of which") as refused:
        require_on_device(needed.on_device, needed.on_device - 1)
    assert "another GPU" in str(refused.value.hint)


def test_resident_memory_is_read_in_bytes() -> None:
    memory = ResidentMemory()
    assert memory.read() > 8 * MIB
    memory.close()
