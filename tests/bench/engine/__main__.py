"""`make bench-engine`: our engine beside llama-server, built from the same sources with the same flags.

    python -m tests.bench.engine [--quick] [--rounds N] [--loads one_stream,distinct,…] [--fresh] …

Progress goes to stderr; the last line of stdout is one JSON object; what every round gave lies in
dist/bench-engine.json and a plot in dist/bench-engine.svg. A claim that does not hold is printed as such, and the exit
code is 1. Every finished measurement is kept: a run again, after it was ended in any way, measures what is left. Ended
with Ctrl+C or SIGTERM, it judges by the rounds that were whole. How to read it: docs/guides/engine-benchmarks.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.claims import tell
from tests.bench.ending import orderly
from tests.bench.engine import agreement, claims, loads, native, overhead, rounds
from tests.bench.engine.contenders import OURS, PEER, PEER_FLAGS, ROOM_TOKENS, Machine
from tests.bench.engine.depends import about
from tests.bench.engine.figures import median, plain, ratios, spread
from tests.bench.engine.plots import sheet
from tests.bench.engine.sittings import Sittings
from tests.engine.llama_server_build import build_llama_server
from tests.integration.engine.conftest import CACHED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.bench.engine.claims import Claim
    from tests.bench.engine.loads import Scale
    from tests.bench.engine.rounds import Measured

OUT = Path("dist")
KEPT = Path.home() / ".cache" / "sovereign" / "bench"
QUICK_SETS = ("16 slots", "4 slots")
QUICK_SHARE = 0.1
"""How much of the time of the full loads the small ones take, about."""


def main() -> int:
    """Measure, and print the JSON object; 0 when every claim holds, 130 when it was ended before a round was whole."""
    given = _arguments()
    orderly()
    scale = loads.QUICK if given.quick else loads.FULL
    scale = replace(scale, rounds=given.rounds or scale.rounds)
    machine = Machine(CACHED, build_llama_server(), given.threads)
    names = given.loads.split(",") if given.loads else list(loads.LOADS)
    sets = QUICK_SETS if given.quick else tuple(PEER_FLAGS)
    planned = _planned(given, names, scale, sets)
    sittings = Sittings(KEPT, about(machine, scale), planned, QUICK_SHARE if given.quick else 1.0, fresh=given.fresh)
    sittings.begin()
    rounds.seeds_from(sittings.first_seed)
    try:
        measured = rounds.best_flags(machine, names, scale, sets, sittings)
        whole = rounds.run(machine, names, scale, measured, sittings) == scale.rounds
    except KeyboardInterrupt:
        tell(f"ended: what was finished is kept in {sittings.path}; run it again, it goes on from there")
        return 130
    scale = replace(scale, rounds=len(measured.restarts))
    found = list(claims.of_rounds(measured))
    compared: dict[str, Any] = {}
    if whole:
        with contextlib.suppress(KeyboardInterrupt):
            for more in _besides(given, machine, measured, sittings, compared):
                found += more
    OUT.mkdir(exist_ok=True)
    raw: dict[str, Any] = {"scale": asdict(scale), "tried": measured.tried, "rounds": measured.figures}
    raw |= {"restarts": measured.restarts, "oracle": compared}
    (OUT / "bench-engine.json").write_text(json.dumps(plain(raw), indent=1) + "\n")
    (OUT / "bench-engine.svg").write_text(sheet(measured))
    result = _result(machine, scale, measured, quick=given.quick) | {"sittings": len(sittings.held)}
    result |= {"claims": [claim.to_json() for claim in found]}
    sys.stdout.write(json.dumps(plain(result)) + "\n")
    return 0 if all(claim.holds for claim in found) else 1


def _besides(
    given: argparse.Namespace, machine: Machine, measured: Measured, sittings: Sittings, compared: dict[str, Any]
) -> Iterator[Iterable[Claim]]:
    """Claims about what no round measures; ``compared`` takes what those about words rest on."""
    scale = replace(loads.QUICK if given.quick else loads.FULL, rounds=len(measured.restarts))
    if "distinct" in measured.figures:
        yield [overhead.scheduling(machine, scale, sittings)]
    if given.native and "one_stream" in measured.figures:
        yield native.compare(machine, scale, measured.flags["one_stream"], sittings)
    if given.oracle:
        found, rest_on = agreement.compare(machine, sittings, quick=given.quick)
        compared.update(rest_on)
        yield found


def _planned(given: argparse.Namespace, names: list[str], scale: Scale, sets: tuple[str, ...]) -> list[str]:
    """Every measurement of this run, in its order."""
    planned = rounds.planned(names, scale.rounds, sets)
    planned += [overhead.PLANNED] if "distinct" in names else []
    planned += native.planned(scale.rounds) if given.native and "one_stream" in names else []
    return planned + (list(agreement.PLANNED) if given.oracle else [])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.engine")
    parser.add_argument("--quick", action="store_true", help="small loads: to see that all of it works, not to publish")
    parser.add_argument("--rounds", type=int, help="alternating rounds (default 5, with --quick 2)")
    parser.add_argument("--loads", help=f"some of {','.join(loads.LOADS)}")
    parser.add_argument("--no-oracle", dest="oracle", action="store_false", help="leave the comparison of words out")
    parser.add_argument(
        "--no-native", dest="native", action="store_false", help="leave the llama-server built for this processor out"
    )
    parser.add_argument("--fresh", action="store_true", help="measure everything again")
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
