"""`make bench-gpu`: an engine that computes on a GPU beside llama-server on the same GPU, in turns.

    python -m tests.bench.gpu [--rounds N] [--layers N] [--model GGUF] [--server FOLDER]

Without ``--model`` the weights are random, of the shape of a model with 1.2 thousand million of them in 16 bits: speed
does not depend on what they are. In the first round ours computes on the processor too. ``--server`` names the folder
of a built llama-server, where none can be built. Progress goes to stderr, the last line of stdout is one JSON object.
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

from tests.bench.claims import at_least, at_most, tell
from tests.bench.engine import loads
from tests.bench.gpu_contenders import OURS, PEER, PROCESSOR, Contenders
from tests.engine import gpu, large_model
from tests.engine.llama_server_build import LlamaServer, build_llama_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.claims import Claim
    from tests.bench.engine.loads import Figures

    Found = dict[str, dict[str, list[Figures]]]

LOADS = ("one_stream", "distinct", "shared", "warm", "fairness")
ON_PROCESSOR = ("one_stream", "distinct")
"""The others take minutes there."""
SCALE = replace(loads.FULL, heavy_words=400, prefix_rules=20)
"""The random model's tokens are bytes: a prompt has some six times as many as words."""


def main() -> int:
    """Measure, and print the JSON object; 0 when every claim holds, 1 when one does not, 2 where there is no GPU."""
    given = _arguments()
    if why := gpu.lacking():
        sys.stderr.write(f"error: {why}\n")
        return 2
    server = LlamaServer(given.server) if given.server else build_llama_server()
    with tempfile.TemporaryDirectory(prefix="bench-gpu-") as folder:
        Path(folder).chmod(0o755)
        shape = replace(large_model.Shape(), layers=given.layers)
        contenders = Contenders(given.model or large_model.write(Path(folder) / "large.gguf", shape), server)
        found: Found = {}
        for number in range(given.rounds):
            for who, names in _turns(number):
                with contenders.start(who) as completions:
                    for load in names:
                        figures = asyncio.run(loads.LOADS[load](completions, SCALE, number + 1))
                        found.setdefault(load, {}).setdefault(who, []).append(figures)
                        shown = ", ".join(f"{key} {value:.3g}" for key, value in figures.items())
                        tell(f"round {number + 1}/{given.rounds} {load} {who}: {shown}")
        result = _about(contenders, given.rounds) | {"medians": _medians(found)}
    claims = list(_claims(result["medians"]))
    print(json.dumps(result | {"claims": [asdict(claim) for claim in claims]}))
    return 0 if all(claim.holds for claim in claims) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--layers", type=int, default=large_model.Shape().layers)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--server", type=Path)
    return parser.parse_args()


def _turns(number: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    turns = [(OURS, LOADS), (PEER, LOADS)]
    yield from turns if number % 2 == 0 else reversed(turns)
    if number == 0:
        yield PROCESSOR, ON_PROCESSOR


def _medians(found: Found) -> dict[str, dict[str, Figures]]:
    return {
        load: {who: {key: statistics.median(one[key] for one in each) for key in each[0]} for who, each in by.items()}
        for load, by in found.items()
    }


def _claims(medians: dict[str, dict[str, Figures]]) -> Iterator[Claim]:
    """The bounds are those of the processor's benchmark, where it has any for a load."""

    def ratio(load: str, figure: str, peer: str = PEER) -> float:
        by = medians[load]
        return by[OURS][figure] / by[peer][figure]

    yield at_least("one stream, tok/s to llama-server's", ratio("one_stream", "tok_s"), "", 0.97)
    yield at_most("one stream, first token to llama-server's", ratio("one_stream", "first_s"), "", 1.05)
    yield at_least("16 clients, distinct, tok/s to llama-server's", ratio("distinct", "tok_s"), "", 1.0)
    yield at_least("16 clients, shared beginning, tok/s to llama-server's", ratio("shared", "tok_s"), "", 2.5)
    yield at_least("the same, warm, tok/s to llama-server's", ratio("warm", "tok_s"), "", 1.5)
    yield at_most("a light user beside a heavy one, first token", ratio("fairness", "busy_s"), "", 0.01)
    for load in ON_PROCESSOR:
        yield at_least(f"{load}, tok/s to the processor's", ratio(load, "tok_s", PROCESSOR), "", 1.0)


def _about(contenders: Contenders, rounds: int) -> dict[str, Any]:
    said = contenders.said
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs ({said.get('variant')}), {said.get('device')}",
        "versions": {"python": platform.python_version(), "llama-cpp-python": version("llama-cpp-python")},
        "rounds": rounds,
        "scale": asdict(SCALE),
        "weights_bytes": contenders.model.stat().st_size,
        "cells": said.get("cells"),
    }


if __name__ == "__main__":
    sys.exit(main())
