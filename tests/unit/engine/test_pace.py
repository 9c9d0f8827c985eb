"""A GPU's batches are larger than a processor's; what is planned is what a context takes."""

from __future__ import annotations

from appliance.engine import pace
from appliance.engine.llama_gpu import Device


def test_a_processor_goes_in_small_steps_and_a_gpu_in_large_ones() -> None:
    on_gpu = pace.of(Device("a GPU", memory_bytes=1 << 34, free_bytes=1 << 34))
    assert pace.of(None) == pace.PROCESSOR
    assert on_gpu.batch_tokens > pace.PROCESSOR.batch_tokens
    assert on_gpu.chunk_tokens > pace.PROCESSOR.chunk_tokens


def test_streams_get_batches_of_their_own_on_a_processor_alone() -> None:
    assert pace.PROCESSOR.apart_tokens is not None
    assert pace.GPU.apart_tokens is None
