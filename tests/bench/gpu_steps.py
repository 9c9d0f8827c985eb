"""How long a GPU takes for batches of a prompt, by their rows, and for one reading of its counter of joules.

    python -m tests.bench.gpu_steps [--layers N] [--processor]

This is what `appliance.engine.pace` and `appliance.engine.steady` were chosen by. Weights are random, as in
`tests.bench.gpu`. One JSON object; ``--processor`` shows the same of a host without a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from appliance.engine import llama_backend, nvml, pace
from appliance.engine.context import Piece
from appliance.engine.llama import LlamaContext
from tests.engine import gpu, large_model

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = (1, 16, 64, 128, 256, 512, 1024)
TIMES = 5
CONTEXT_TOKENS = 4096
MEMORY_MIB = 4000


def main() -> int:
    """Measure, and print the JSON object; 2 where there is no GPU."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gpu_steps")
    parser.add_argument("--layers", type=int, default=large_model.Shape().layers)
    parser.add_argument("--processor", action="store_true")
    given = parser.parse_args()
    if not given.processor and (why := gpu.lacking()):
        sys.stderr.write(f"error: {why}\n")
        return 2
    llama_backend.start(gpu=None if given.processor else 0)
    device = llama_backend.device()
    largest = replace(pace.of(device), batch_tokens=max(ROWS))
    with tempfile.TemporaryDirectory(prefix="bench-gpu-") as folder, patch.object(pace, "of", lambda _device: largest):
        shape = replace(large_model.Shape(), layers=given.layers)
        took = dict(_batches(large_model.write(Path(folder) / "large.gguf", shape)))
    said = {"machine": f"{platform.machine()}, {os.cpu_count()} CPUs", "device": device and device.to_json()}
    print(json.dumps({**said, "layers": given.layers, "batch_ms": took, "reading_ms": _reading(given.processor)}))
    return 0


def _batches(model: Path) -> Iterator[tuple[int, float]]:
    """Rows of a prompt, and the median of its milliseconds, logits of the last row included."""
    descriptor = os.open(model, os.O_RDONLY)
    threads = len(os.sched_getaffinity(0))
    context = LlamaContext(descriptor, context_tokens=CONTEXT_TOKENS, threads=threads, budget_mib=MEMORY_MIB)
    for rows in ROWS:
        piece = Piece(tuple(3 + n % 250 for n in range(rows)), 0, (0, 1), sampled=True)
        times = []
        for _ in range(TIMES):
            context.clear()
            began = time.perf_counter()
            (row,) = context.decode([piece])
            context.logits(row)
            times.append(1000 * (time.perf_counter() - began))
        yield rows, round(statistics.median(times), 2)
    context.close()
    os.close(descriptor)


def _reading(processor: bool) -> float | None:  # noqa: FBT001 - private, one call
    """Milliseconds of one reading; None where there is no counter."""
    counter = None if processor else nvml.open_counter(0)
    if counter is None:
        return None
    began = time.perf_counter()
    for _ in range(TIMES):
        counter.joules()
    return round(1000 * (time.perf_counter() - began) / TIMES, 2)


if __name__ == "__main__":
    sys.exit(main())
