"""Callers of the audit writer, in a process of their own, across its socket: `python -m tests.bench.audit_load`.

    SOCKET CALLERS[xN] SECONDS      each caller has N entries in flight (1), the next as soon as one is durable
    SOCKET rate:PER_SECOND SECONDS  entries come at this rate, whatever the writer does

In the first, events are built before the clock runs: each entry is encoded, sent and awaited. In the second, all of it
counts. No call uses an id that another used: what is logged already is read and compared, which nobody measures here.
The answer is one JSON object: entries, seconds, every latency in milliseconds, sorted, how many commits answered
(checkpoints that differ), and the processor seconds that the callers took.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any

from appliance.audit import events
from appliance.audit.client import AuditClient

_COARSE = 0.001


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


async def closed_loop(client: AuditClient, callers: int, flight: int, seconds: float) -> tuple[list[float], int]:
    """Latencies of entries of which ``callers`` have ``flight`` each on the way, for ``seconds``; and the commits."""
    made = [event(f"{number}") for number in range(callers)]
    end, taken, own = time.perf_counter() + seconds, [], secrets.token_hex(8)
    sizes: set[int] = set()

    async def call(number: int, hand: int) -> None:
        turn = 0
        while (begin := time.perf_counter()) < end:
            position = await client.append(made[number], id=f"gateway/{own}/{number}.{hand}.{turn}")
            taken.append(time.perf_counter() - begin)
            sizes.add(position.size)
            turn += 1

    await asyncio.gather(*(call(number, hand) for number in range(callers) for hand in range(flight)))
    return taken, len(sizes)


async def open_loop(client: AuditClient, rate: float, seconds: float) -> list[float]:
    """Latencies of entries that come ``rate`` times a second; each counts from when it was due.

    Timers of an event loop are whole milliseconds of epoll, rounded up: so much later than due counts from then.
    """
    taken, own = list[float](), secrets.token_hex(8)
    begin = time.perf_counter()

    async def one(number: int, due: float) -> None:
        await client.append(event(f"r{number}"), id=f"gateway/{own}/{number}")
        taken.append(time.perf_counter() - due)

    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = begin + number / rate
            await asyncio.sleep(due - time.perf_counter())
            group.create_task(one(number, min(max(due, time.perf_counter()), due + _COARSE)))
    return taken


async def main(socket: str, load: str, seconds: str) -> None:
    """Play the load and print what it took."""
    async with AuditClient(Path(socket)) as client:
        begin, before = time.perf_counter(), time.process_time()
        kind, _, rate = load.partition(":")
        commits = None
        if kind == "rate":
            taken = await open_loop(client, float(rate), float(seconds))
        else:
            callers, _, flight = load.partition("x")
            taken, commits = await closed_loop(client, int(callers), int(flight or 1), float(seconds))
        spent, worked = time.perf_counter() - begin, time.process_time() - before
    found: dict[str, Any] = {"entries": len(taken), "seconds": spent, "commits": commits, "processor_seconds": worked}
    found["latencies_ms"] = sorted(1000 * one for one in taken)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
