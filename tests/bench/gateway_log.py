"""What the log adds to a request of the gateway, at a hundred requests a second; a part of `make bench-gateway`.

Two whole gateways answer on loopback, one over a writer in a process of its own, one over a log that says at once that
everything is durable. All the while other callers put into that writer what a hundred requests a second put there, two
entries each. A client in a process of its own asks both gateways by turns, and so does which of them begins. Of each
round the differences of medians and of 99th percentiles are taken; the median of differences is the figure. So what the
machine does besides, and what everything else of the gateway costs, is in neither.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from appliance.audit.client import AuditClient, Position
from tests.audit.bench import Bench
from tests.audit.processes import writers
from tests.bench.claims import Claim, at_most, tell
from tests.contract.conftest import running_site
from tests.gateway.doubles import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE = 100
ENTRIES = 2
"""Of each request: its own and its answer's."""
ROUNDS, TURNS = 6, 300
QUICK_ROUNDS, QUICK_TURNS = 2, 60
WARM = 10
LOAD_SECONDS = 240
QUOTA = {"requests_per_minute": 1_000_000, "tokens_per_day": 1_000_000_000}


@dataclass
class InstantLog:
    """A log that loses everything: what the gateway costs without one."""

    size: int = 0
    instance: str = "0123456789abcdef"

    async def append(self, event: dict[str, Any], *, id: str, proven: bool = False) -> Position:  # noqa: A002, ARG002 - the protocol
        self.size += 1
        return Position(self.size - 1, self.size, f"{ORIGIN}\n{self.size}\nroot\n")

    async def healthy(self) -> bool:
        return True


def measured(*, quick: bool) -> tuple[dict[str, Any], list[Claim]]:
    """The figures of every round, and both claims."""
    rounds, turns = (QUICK_ROUNDS, QUICK_TURNS) if quick else (ROUNDS, TURNS)
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as name:
        folder, socket = Path(name), Path(name) / "sock"
        for sort in ("logged", "bare"):
            (folder / sort).mkdir()
        limits = {"per_user": QUOTA, "per_group": QUOTA}
        with (
            writers(Bench(folder / "log", origin=ORIGIN), folder, socket, {"gateway": os.getuid()}) as begin,
            running_site(folder / "bare", audit=InstantLog(), **limits) as bare,
        ):
            begin()
            with running_site(folder / "logged", audit=AuditClient(socket), **limits) as logged, _others(socket):
                doors = {
                    sort: {"url": site.url, "token": site.keys.token("analyst", "analysts")}
                    for sort, site in (("logged", logged), ("bare", bare))
                }
                given = json.dumps({"doors": doors, "rounds": rounds, "turns": turns})
                argv = [sys.executable, "-m", "tests.bench.gateway_log", "--client"]
                said = subprocess.run(argv, input=given.encode(), check=True, stdout=subprocess.PIPE).stdout
    found: dict[str, list[list[float]]] = json.loads(said)
    told = {
        sort: [{"p50_ms": round(_at(one, 0.5), 3), "p99_ms": round(_at(one, 0.99), 3)} for one in each]
        for sort, each in found.items()
    }
    return {"rate": RATE, "requests_a_round": turns, "rounds": told}, list(judged(found))


@contextmanager
def _others(socket: Path) -> Iterator[None]:
    """What other gateways' requests put into the log at the rate. Raises where that ended before the measurement."""
    argv = [sys.executable, "-m", "tests.bench.audit_load", str(socket), f"rate:{RATE * ENTRIES}", str(LOAD_SECONDS)]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as process:
        try:
            yield
            if process.poll() is not None:
                raise RuntimeError("the load on the log ended before the measurement")
        finally:
            process.kill()


def judged(found: dict[str, list[list[float]]]) -> Iterator[Claim]:
    """Both claims, of sorted milliseconds by round."""
    for name, share, most in (("p50", 0.5, 2.0), ("p99", 0.99, 10.0)):
        pairs = zip(found["logged"], found["bare"], strict=True)
        added = [_at(with_log, share) - _at(without, share) for with_log, without in pairs]
        yield at_most(f"the log adds to a gateway's request at {RATE}/s, {name}", statistics.median(added), "ms", most)


def _at(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


def client() -> None:
    """The asking side: each round's latencies, sorted, go to stdout."""
    given = json.load(sys.stdin)
    found: dict[str, list[list[float]]] = {sort: [] for sort in given["doors"]}
    body = {"model": "small", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 3}
    with ExitStack() as stack:
        doors = {
            sort: stack.enter_context(
                httpx.Client(base_url=door["url"], headers={"authorization": f"Bearer {door['token']}"}, timeout=60)
            )
            for sort, door in given["doors"].items()
        }
        for number in range(given["rounds"]):
            taken: dict[str, list[float]] = {sort: [] for sort in doors}
            for turn in range(WARM + given["turns"]):
                for sort in doors if turn % 2 else reversed(doors):
                    begin = time.perf_counter()
                    doors[sort].post("/v1/chat/completions", json=body).raise_for_status()
                    taken[sort] += [(time.perf_counter() - begin) * 1000] if turn >= WARM else []
            for sort, values in taken.items():
                found[sort].append(sorted(values))
                tell(f"round {number + 1}, {sort}: p50 {_at(found[sort][-1], 0.5):.2f} ms")
    print(json.dumps(found))


if __name__ == "__main__":
    client()
