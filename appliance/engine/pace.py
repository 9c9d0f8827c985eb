"""How many rows a batch has, on a processor and on a GPU: each as many as it computes in a short while.

A processor's time for a batch grows with its rows, so that they are few while streams flow. A GPU reads every weight
for one row as it does for hundreds, so that a small batch of a prompt costs almost what a large one does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.engine.scheduler import Limits

if TYPE_CHECKING:
    from appliance.engine.llama_gpu import Device

PROCESSOR = Limits(batch_tokens=256, chunk_tokens=64, apart_tokens=1024)
"""``apart_tokens`` was measured with Gemma 3 270M on two cores, with 1,280 tokens behind each of 16 streams: a chunk
and their rows took 1.10 s in one batch, and 0.29 s and 0.17 s in two. What a batch costs whatever is in it is some
0.03 s."""
GPU = Limits(batch_tokens=512, chunk_tokens=256)


def of(device: Device | None) -> Limits:
    """The pace of what computes: ``device``, or the processor where there is none."""
    return PROCESSOR if device is None else GPU
