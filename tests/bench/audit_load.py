"""Callers of the audit writer, in a process of their own, across its socket: `python -m tests.bench.audit_load`.

    SOCKET CALLERS SECONDS          each caller appends again as soon as its entry is durable
    SOCKET rate:PER_SECOND SECONDS  entries come at this rate, whatever the writer does

In the first, events are built before the clock runs: each entry is encoded, sent and awaited. In the second, all of it
counts.
The answer is one JSON object: entries, seconds, and every latency in milliseconds, sorted.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from appliance.audit import events
from appliance.audit.client import AuditClient


def event(name: str) -> dict[str, Any]:
    """A request as the gateway logs it, with everything that it may hold."""
    return events.request(
        request_id=name,
        subject=hashlib.sha256(name[-2:].encode()).hexdigest()[:32],
        groups=("analysts",),
        model_digest="sha256:" + "a5" * 32,
        model_name="gemma3-270m",
        prompt_commitment="sha256:" + hashlib.sha256(name.encode()).hexdigest(),
        purpose="drafting",
        prompt_tokens=213,
        client_id="sovereign-web",
        sampler={"temperature": 0.7, "top_p": 0.95, "seed": 7},
    )


async def closed_loop(client: AuditClient, callers: int, seconds: float) -> list[float]:
    """Latencies of entries that ``callers`` append one after another, for ``seconds``."""
    made = [event(f"{number}") for number in range(callers)]
    end, taken = time.perf_counter() + seconds, []

    async def call(number: int) -> None:
        turn = 0
        while (begin := time.perf_counter()) < end:
            await client.append(made[number], id=f"gateway/{number}/{turn}")
            taken.append(time.perf_counter() - begin)
            turn += 1

    await asyncio.gather(*(call(number) for number in range(callers)))
    return taken


async def open_loop(client: AuditClient, rate: float, seconds: float) -> list[float]:
    """Latencies of entries that come ``rate`` times a second; each counts from when it was due."""
    taken: list[float] = []
    begin = time.perf_counter()

    async def one(number: int, due: float) -> None:
        await client.append(event(f"r{number}"), id=f"gateway/r/{number}")
        taken.append(time.perf_counter() - due)

    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = begin + number / rate
            await asyncio.sleep(due - time.perf_counter())
            group.create_task(one(number, due))
    return taken


async def main(socket: str, load: str, seconds: str) -> None:
    """Play the load and print what it took."""
    async with AuditClient(Path(socket)) as client:
        begin = time.perf_counter()
        kind, _, rate = load.partition(":")
        if kind == "rate":
            taken = await open_loop(client, float(rate), float(seconds))
        else:
            taken = await closed_loop(client, int(load), float(seconds))
        spent = time.perf_counter() - begin
    found = {"entries": len(taken), "seconds": spent, "latencies_ms": sorted(1000 * one for one in taken)}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
