"""`make bench-gpu`: an engine that computes on a GPU beside one on the processor of the same host, in turns.

    python -m tests.bench.gpu [--rounds N] [--layers N] [--model GGUF]

Without ``--model`` the weights are random, of the shape of a model with 1.2 thousand million of them in 16 bits: speed
does not depend on what they are. Progress goes to stderr, the last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.claims import at_least, tell
from tests.bench.engine import loads
from tests.bench.engine.completions import EngineCompletions
from tests.engine import gpu, large_model
from tests.engine.served import Sizes, described, our_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.engine.loads import Figures

LOADS = ("one_stream", "distinct", "shared")
SCALE = replace(loads.QUICK, single=2, single_tokens=48, clients=16, tokens=48, prefix_rules=12)
MEMORY_MIB = 8000


def main() -> int:
    """Measure, and print the JSON object; 0 when every claim holds, 2 where there is no GPU."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--layers", type=int, default=large_model.Shape().layers)
    parser.add_argument("--model", type=Path)
    given = parser.parse_args()
    if why := gpu.lacking():
        sys.stderr.write(f"error: {why}\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="bench-gpu-") as folder:
        shape = replace(large_model.Shape(), layers=given.layers)
        model = given.model or large_model.write(Path(folder) / "large.gguf", shape)
        found: dict[str, dict[str, list[Figures]]] = {}
        said: dict[str, Any] = {}
        for number in range(given.rounds):
            for who, where in _turns(number):
                sizes = Sizes(2048, len(os.sched_getaffinity(0)), queue=256, memory_mib=MEMORY_MIB, gpu=where)
                with our_engine(model, sizes) as served:
                    said = described(served.socket) if where is not None else said
                    for load in LOADS:
                        figures = asyncio.run(_once(load, served.socket, number))
                        found.setdefault(load, {}).setdefault(who, []).append(figures)
                        shown = ", ".join(f"{key} {value:.3g}" for key, value in figures.items())
                        tell(f"round {number + 1}/{given.rounds} {load} {who}: {shown}")
        weights = model.stat().st_size
    print(json.dumps(_result(found, said, weights, given.rounds)))
    return 0


def _turns(number: int) -> Iterator[tuple[str, int | None]]:
    turns = [("gpu", 0), ("processor", None)]
    yield from turns if number % 2 == 0 else reversed(turns)


async def _once(load: str, socket: Path, seed: int) -> Figures:
    completions = EngineCompletions(socket)
    return await loads.LOADS[load](completions, SCALE, seed + 1)


def _result(
    found: dict[str, dict[str, list[Figures]]], said: dict[str, Any], weights: int, rounds: int
) -> dict[str, Any]:
    medians = {
        load: {who: {key: statistics.median(one[key] for one in each) for key in each[0]} for who, each in by.items()}
        for load, by in found.items()
    }
    claims = [
        at_least(f"{load}, tok/s on the GPU to the processor's", by["gpu"]["tok_s"] / by["processor"]["tok_s"], "", 1.0)
        for load, by in medians.items()
    ]
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs ({said.get('variant')}), {said.get('device')}",
        "versions": {"python": platform.python_version(), "llama-cpp-python": version("llama-cpp-python")},
        "rounds": rounds,
        "weights_bytes": weights,
        "medians": medians,
        "claims": [asdict(claim) for claim in claims],
    }


if __name__ == "__main__":
    sys.exit(main())
