"""`make bench-engine`: our engine beside llama-server, built from the same sources with the same flags.

    python -m tests.bench.engine [--quick] [--rounds N] [--loads one_stream,distinct,…] [--no-oracle] [--no-native]

Progress goes to stderr; the last line of stdout is one JSON object; what every round gave lies in
dist/bench-engine.json and a plot in dist/bench-engine.svg. A claim that does not hold is printed as such, and the exit
code is 1. Ended with Ctrl+C, it judges by the rounds that were whole. How to read it: docs/guides/engine-benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.engine import agreement, claims, loads, native, overhead, rounds
from tests.bench.engine.contenders import OURS, PEER, PEER_FLAGS, ROOM_TOKENS, Machine
from tests.bench.engine.figures import median, plain, ratios, spread
from tests.bench.engine.plots import sheet
from tests.engine.llama_server_build import build_llama_server
from tests.integration.engine.conftest import CACHED

if TYPE_CHECKING:
    from tests.bench.engine.loads import Scale
    from tests.bench.engine.rounds import Measured

OUT = Path("dist")
QUICK_SETS = ("16 slots", "4 slots")


def main() -> int:
    """Measure, and print the JSON object; 0 when every claim holds."""
    given = _arguments()
    scale = loads.QUICK if given.quick else loads.FULL
    scale = replace(scale, rounds=given.rounds or scale.rounds)
    names = given.loads.split(",") if given.loads else list(loads.LOADS)
    machine = Machine(CACHED, build_llama_server(), given.threads)
    measured = rounds.best_flags(machine, names, scale, QUICK_SETS if given.quick else PEER_FLAGS)
    whole = rounds.run(machine, names, scale, measured) == scale.rounds
    scale = replace(scale, rounds=len(measured.restarts))
    found = list(claims.of_rounds(measured))
    if whole and "distinct" in names:
        found.append(overhead.scheduling(machine, scale))
    if whole and given.native and "one_stream" in names:
        found += native.compare(machine, scale, measured.flags["one_stream"])
    compared: dict[str, Any] = {}
    if whole and given.oracle:
        more, compared = agreement.compare(machine, quick=given.quick)
        found += more
    OUT.mkdir(exist_ok=True)
    raw: dict[str, Any] = {"scale": asdict(scale), "tried": measured.tried, "rounds": measured.figures}
    raw |= {"restarts": measured.restarts, "oracle": compared}
    (OUT / "bench-engine.json").write_text(json.dumps(plain(raw), indent=1) + "\n")
    (OUT / "bench-engine.svg").write_text(sheet(measured))
    result = _result(machine, scale, measured, quick=given.quick) | {"claims": [claim.to_json() for claim in found]}
    sys.stdout.write(json.dumps(plain(result)) + "\n")
    return 0 if all(claim.holds for claim in found) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.engine")
    parser.add_argument("--quick", action="store_true", help="small loads: to see that all of it works, not to publish")
    parser.add_argument("--rounds", type=int, help="alternating rounds (default 5, with --quick 2)")
    parser.add_argument("--loads", help=f"some of {','.join(loads.LOADS)}")
    parser.add_argument("--no-oracle", dest="oracle", action="store_false", help="leave the comparison of words out")
    parser.add_argument(
        "--no-native", dest="native", action="store_false", help="leave the llama-server built for this processor out"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of either contender")
    return parser.parse_args()


def _result(machine: Machine, scale: Scale, measured: Measured, *, quick: bool) -> dict[str, Any]:
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, Linux {platform.release()}",
        "versions": {
            "python": platform.python_version(),
            "llama-cpp-python": version("llama-cpp-python"),
            "llama-server": machine.server.folder.name,
        },
        "rounds": scale.rounds,
        "quick": quick,
        "threads": machine.threads,
        "ours": machine.facts(),
        "peer_context_tokens": ROOM_TOKENS,
        "peer_flags": {name: " ".join(PEER_FLAGS[chosen]) for name, chosen in measured.flags.items()},
        "medians": {
            name: {who: _medians(measured, name, who) for who in contenders}
            for name, contenders in measured.figures.items()
        },
        "ratios": {
            ratio.name: {"rounds": values, "spread": spread(values)}
            for ratio in claims.RATIOS
            if ratio.load in measured.figures
            and (values := ratios(*(measured.column(ratio.load, who, ratio.figure) for who in (OURS, PEER))))
        },
    }


def _medians(measured: Measured, load: str, contender: str) -> dict[str, float | None]:
    names = measured.figures[load][contender][0]
    return {name: median(measured.column(load, contender, name)) for name in names}


if __name__ == "__main__":
    sys.exit(main())
