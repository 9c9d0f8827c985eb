"""`make bench-gateway`: what sign-in, policy, quota and log add to an answer.

    python -m tests.bench.gateway [--quick]

A whole gateway answers on loopback (real tokens, PostgreSQL, the log's writer, the engine's socket protocol; the model
is a double that answers at once). As on a site each is a process of its own, and so is the client, which asks the
gateway and the engine's socket by turns, to the first token. Then it asks for streams of many tokens: the throughput
that they cost is the processor time of gateway, database and writer for a whole answer, by token, at the rate of a full
batch, as a share of all processors. At last what the log alone adds (``gateway_log``), which is all that ``--quick``
measures, and briefly. Last line: one JSON object.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx

from appliance.audit.client import AuditClient
from appliance.engine.client import EngineClient
from tests.audit.bench import Bench
from tests.audit.processes import writers
from tests.bench import gateway_engine, gateway_log
from tests.bench.claims import Claim, at_most, tell
from tests.bench.processor_time import spent
from tests.contract.conftest import running_site
from tests.gateway.doubles import ORIGIN

TURNS = 200
WARM = 20
STREAMS = 40
TOKENS = 400
FULL_BATCH_TOK_S = 351
"""What the engine gives with 32 requests side by side on two processors, the most that was measured."""


def main() -> int:
    """Measure, and print the JSON object; 0 when every claim holds."""
    quick = "--quick" in sys.argv
    found = {} if quick else _medians()
    log, added = gateway_log.measured(quick=quick)
    claims = [*(judged(found) if found else []), *added]
    for claim in claims:
        tell(f"{claim.name}: {claim.value} {claim.unit} ({'holds' if claim.holds else 'DOES NOT HOLD'})")
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, Linux {platform.release()}"
    result = {"machine": machine, "versions": {"python": platform.python_version()}, "rounds": TURNS, "medians": found}
    print(json.dumps(result | {"log": log, "claims": [asdict(claim) for claim in claims]}))
    return 0 if all(claim.holds for claim in claims) else 1


def _medians() -> dict[str, float]:
    quota = {"requests_per_minute": 1_000_000, "tokens_per_day": 1_000_000_000}
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as name, ExitStack() as stack:
        folder, log, model = Path(name), Path(name) / "log.sock", Path(name) / "model.sock"
        writer = Bench(folder / "entries", origin=ORIGIN)
        stack.enter_context(writers(writer, folder, log, {"gateway": os.getuid()}))()
        double = stack.enter_context(gateway_engine.engine(model))
        doors = {"audit": AuditClient(log), "engine": EngineClient(model)}
        (folder / "site").mkdir()
        site = stack.enter_context(running_site(folder / "site", **doors, per_user=quota, per_group=quota))
        given = {"url": site.url, "socket": str(model), "token": site.keys.token("analyst", "analysts")}
        argv = [sys.executable, "-m", "tests.bench.gateway", "--client"]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as asking:
            assert asking.stdin is not None
            assert asking.stdout is not None
            asking.stdin.write(json.dumps(given) + "\n")
            asking.stdin.flush()
            found: dict[str, float] = json.loads(asking.stdout.readline())
            others = frozenset({asking.pid, double.pid})
            before = spent(os.getpid(), others)
            asking.stdin.write("streams\n")
            asking.stdin.flush()
            tokens = int(asking.stdout.readline())
            found["gateway_processor_token_s"] = (spent(os.getpid(), others) - before) / tokens
    return found


def judged(found: dict[str, float]) -> list[Claim]:
    """Both claims, of seconds."""
    first = (found["gateway_first_s"] - found["engine_first_s"]) * 1000
    share = found["gateway_processor_token_s"] * FULL_BATCH_TOK_S / (os.cpu_count() or 1)
    return [
        at_most("the gateway adds to the first token, p50", first, "ms", 3.0),
        at_most("the gateway's share of the processors at a full batch", share, "share", 0.02),
    ]


def client() -> None:
    """The asking side: medians to the first token go to stdout, and, told to go on, how many tokens were streamed."""
    given = json.loads(sys.stdin.readline())
    engine = httpx.Client(transport=httpx.HTTPTransport(uds=given["socket"]), base_url="http://engine", timeout=60)
    headers = {"authorization": f"Bearer {given['token']}"}
    with engine, httpx.Client(base_url=given["url"], headers=headers, timeout=60) as gateway:
        doors = {"engine": (engine, "/generate", _plain), "gateway": (gateway, "/v1/chat/completions", _chat)}
        first: dict[str, list[float]] = {name: [] for name in doors}
        for turn in range(WARM + TURNS):
            for name, (http, path, body) in doors.items():
                begun, _tokens = _asked(http, path, body("hi", 3))
                first[name] += [begun] if turn >= WARM else []
        tell(f"first token: {TURNS} turns")
        print(json.dumps({f"{name}_first_s": statistics.median(values) for name, values in first.items()}), flush=True)
        sys.stdin.readline()
        http, path, body = doors["gateway"]
        print(sum(_asked(http, path, body("endless", TOKENS))[1] for _ in range(STREAMS)), flush=True)
        tell(f"tokens: {STREAMS} streams of {TOKENS}")


def _chat(question: str, tokens: int) -> dict[str, Any]:
    messages = [{"role": "user", "content": question}]
    return {"model": "small", "messages": messages, "max_tokens": tokens, "stream": True}


def _plain(question: str, tokens: int) -> dict[str, Any]:
    messages = [{"role": "user", "content": question}]
    return {"id": "bench", "user": "u", "group": "analysts", "messages": messages, "max_tokens": tokens}


def _asked(http: httpx.Client, path: str, body: dict[str, Any]) -> tuple[float, int]:
    """Seconds to the first token, and how many tokens came."""
    began, first, tokens = time.perf_counter(), 0.0, 0
    with http.stream("POST", path, json=body) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            if '"type": "token"' in line or '"delta":{"content":' in line:
                first = first or time.perf_counter() - began
                tokens += 1
    return first, tokens


if __name__ == "__main__":
    sys.exit(client() if "--client" in sys.argv else main())
