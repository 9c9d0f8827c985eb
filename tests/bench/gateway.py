"""`make bench-gateway`: what sign-in, policy, quota and log add to an answer.

    python -m tests.bench.gateway [--quick]

A whole gateway answers on loopback (real tokens, PostgreSQL, the log's writer, the engine's socket protocol; the model
is a double that answers at once). One client, in a process of its own, asks it and the engine's socket by turns: to the
first token, and for streams of many tokens. The throughput that it costs is the time it adds to a token at the rate of
a full batch, on all of the machine's processors. Then what the log alone adds (``gateway_log``), which is all that
``--quick`` measures, and briefly. Last line: one JSON object.
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
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx

from tests.bench import gateway_log
from tests.bench.claims import Claim, at_most, tell
from tests.contract.conftest import running_site

TURNS = 200
WARM = 20
STREAMS = 20
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
    with tempfile.TemporaryDirectory(prefix="bench-gateway-") as name:
        quota = {"requests_per_minute": 1_000_000, "tokens_per_day": 1_000_000_000}
        with running_site(Path(name), per_user=quota, per_group=quota) as site:
            token = site.keys.token("analyst", "analysts")
            given = json.dumps({"url": site.url, "socket": f"{name}/engine.sock", "token": token})
            argv = [sys.executable, "-m", "tests.bench.gateway", "--client"]
            said = subprocess.run(argv, input=given.encode(), check=True, stdout=subprocess.PIPE).stdout
    found: dict[str, float] = json.loads(said)
    return found


def judged(found: dict[str, float]) -> list[Claim]:
    """Both claims, of medians in seconds."""
    first = (found["gateway_first_s"] - found["engine_first_s"]) * 1000
    share = (found["gateway_token_s"] - found["engine_token_s"]) * FULL_BATCH_TOK_S / (os.cpu_count() or 1)
    return [
        at_most("the gateway adds to the first token, p50", first, "ms", 3.0),
        at_most("the gateway's share of the processors at a full batch", share, "share", 0.02),
    ]


def client() -> None:
    """The asking side: medians go to stdout."""
    given = json.load(sys.stdin)
    engine = httpx.Client(transport=httpx.HTTPTransport(uds=given["socket"]), base_url="http://engine", timeout=60)
    headers = {"authorization": f"Bearer {given['token']}"}
    with engine, httpx.Client(base_url=given["url"], headers=headers, timeout=60) as gateway:
        doors = {"engine": (engine, "/generate", _plain), "gateway": (gateway, "/v1/chat/completions", _chat)}
        first: dict[str, list[float]] = {name: [] for name in doors}
        each: dict[str, list[float]] = {name: [] for name in doors}
        for turn in range(WARM + TURNS):
            for name, (http, path, body) in doors.items():
                begun, _ended, _lines = _asked(http, path, body("hi", 3))
                first[name] += [begun] if turn >= WARM else []
        tell(f"first token: {TURNS} turns")
        for _ in range(STREAMS):
            for name, (http, path, body) in doors.items():
                begun, ended, lines = _asked(http, path, body("endless", TOKENS))
                each[name].append((ended - begun) / max(1, lines - 1))
        tell(f"tokens: {STREAMS} streams of {TOKENS}")
    medians = {f"{name}_first_s": statistics.median(values) for name, values in first.items()}
    print(json.dumps(medians | {f"{name}_token_s": statistics.median(values) for name, values in each.items()}))


def _chat(question: str, tokens: int) -> dict[str, Any]:
    messages = [{"role": "user", "content": question}]
    return {"model": "small", "messages": messages, "max_tokens": tokens, "stream": True}


def _plain(question: str, tokens: int) -> dict[str, Any]:
    messages = [{"role": "user", "content": question}]
    return {"id": "bench", "user": "u", "group": "analysts", "messages": messages, "max_tokens": tokens}


def _asked(http: httpx.Client, path: str, body: dict[str, Any]) -> tuple[float, float, int]:
    """Seconds to the first token, to the end, and how many tokens came."""
    began, first, tokens = time.perf_counter(), 0.0, 0
    with http.stream("POST", path, json=body) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            if '"type": "token"' in line or '"delta":{"content":' in line:
                first = first or time.perf_counter() - began
                tokens += 1
    return first, time.perf_counter() - began, tokens


if __name__ == "__main__":
    sys.exit(client() if "--client" in sys.argv else main())
