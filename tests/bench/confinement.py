"""What confinement costs an engine: until it is ready, and per token, with and without it.

    python -m tests.bench.confinement [rounds]

Rounds alternate; claims are medians of each round's ratio, about the engine's processor time, which other programs on
the machine disturb little. Times by the clock stand beside it. The unconfined engine exists here only: the program
below puts the same service together without ``launch``.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from appliance.engine.client import EngineClient
from appliance.engine.protocol import End, Request
from tests.engine.confined import unprivileged
from tests.integration.engine.conftest import CACHED

TOKENS = 96
START_S = 180
CONFINED = """
from appliance.engine.launch import serve
serve(**model, socket=Path(sys.argv[2]), clients=clients)
"""
BARE = """
import socket
from appliance.engine import service
from appliance.engine.confinement.layers import Confinement
from appliance.engine.memory import ResidentMemory
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[2])
service.serve(**model, listener=listener, clients=clients, confinement=Confinement(()), resident=ResidentMemory())
"""
PROGRAM = """
import os, sys
from pathlib import Path
from appliance.site.served import Model
clients = frozenset({os.getuid()})  # whoever started this, as the engine's namespace numbers them
model = {
    "weights_fd": os.open(sys.argv[1], os.O_RDONLY),
    "template": "{% for m in messages %}{{ m.content }}{% endfor %}",
    "receipt": {},
    "record": {},
    "config": Model(name="bench", context_tokens=1024, threads=1, memory_mib=900),
}
"""
KINDS = {"bare": PROGRAM + BARE, "confined": PROGRAM + CONFINED}


@dataclass(frozen=True)
class Reading:
    """One engine's life, by the clock and (``cpu``) by its processor time."""

    start_s: float
    start_cpu_s: float
    tokens_per_s: float
    token_cpu_ms: float


def processor_time(pid: int) -> float:
    """Seconds that all threads of ``pid`` computed so far (proc_pid_stat(5), fields 14 and 15)."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def measure(kind: str, tokens: int = TOKENS) -> Reading:
    """Start an engine of ``kind``, have it write ``tokens`` tokens, stop it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "s"
        begun = time.monotonic()
        engine = subprocess.Popen(
            unprivileged([sys.executable, "-c", KINDS[kind], str(CACHED), str(path)]), stdout=subprocess.DEVNULL
        )
        try:
            return asyncio.run(_ask(path, begun, engine, tokens))
        finally:
            engine.terminate()
            engine.wait(60)


async def _ask(path: Path, begun: float, engine: subprocess.Popen[bytes], tokens: int) -> Reading:
    async with EngineClient(path) as client:
        while not await client.healthy():
            if engine.poll() is not None or time.monotonic() - begun > START_S:
                raise SystemExit("the engine did not start")
            await asyncio.sleep(0.02)
        started, before = time.monotonic() - begun, processor_time(engine.pid)
        request = Request(
            id="1", user="u", group="g", prompt="Once upon a time", max_tokens=tokens, temperature=1.0, seed=7
        )
        last = [event async for event in client.generate(request)][-1]
        assert isinstance(last, End)
        written = last.usage.completion_tokens
        spent = (processor_time(engine.pid) - before) / written * 1000
        return Reading(started, before, written / last.timing.decode_ms * 1000, spent)


def claim(name: str, ratios: list[float], at_most: float) -> dict[str, Any]:
    """One claim about the median of ``ratios`` (confined to bare)."""
    value = round(statistics.median(ratios), 3)
    return {"name": name, "value": value, "unit": "confined/bare", "bound": f"<= {at_most}", "holds": value <= at_most}


def main(rounds: int) -> None:
    """Alternate, then print one JSON object as the last line."""
    readings: dict[str, list[Reading]] = {"bare": [], "confined": []}
    for number in range(rounds):
        for kind in ("bare", "confined") if number % 2 == 0 else ("confined", "bare"):
            readings[kind].append(found := measure(kind))
            shown = f"{found.start_cpu_s:.2f} s to start, {found.token_cpu_ms:.1f} ms a token of processor time"
            sys.stderr.write(f"{number + 1}/{rounds} {kind}: {shown}\n")
    pairs = list(zip(readings["confined"], readings["bare"], strict=True))
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, Linux {platform.release()}",
        "versions": {"python": platform.python_version(), "llama-cpp-python": version("llama-cpp-python")},
        "rounds": rounds,
        "medians": {
            kind: {f.name: round(statistics.median(getattr(r, f.name) for r in found), 3) for f in fields(Reading)}
            for kind, found in readings.items()
        },
        "claims": [
            claim("processor time until ready", [c.start_cpu_s / b.start_cpu_s for c, b in pairs], 1.1),
            claim("processor time per token", [c.token_cpu_ms / b.token_cpu_ms for c, b in pairs], 1.03),
        ],
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
