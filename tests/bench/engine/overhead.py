"""What scheduling costs: an engine's own account of its steps while 16 people are answered at once.

A step's time beside computing the batch and drawing from it (who begins, who computes what, prefixes, books of cells)
is set against the time of computing, over one load of distinct prompts.
"""

from __future__ import annotations

import asyncio
import functools
import re
from typing import TYPE_CHECKING

import httpx

from tests.bench.engine import loads
from tests.bench.engine.claims import Claim, judged
from tests.bench.engine.completions import EngineCompletions
from tests.bench.engine.contenders import sizes_of
from tests.engine.served import our_engine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.engine.contenders import Machine
    from tests.bench.engine.sittings import Sittings

PLANNED = "scheduling/16 clients"
"""The measurement."""
NAME = "scheduling, to computing, 16 clients"
_COMPUTING, _SCHEDULING = "engine_step_seconds_sum", "engine_scheduling_seconds_total"


def scheduling(machine: Machine, scale: loads.Scale, sittings: Sittings) -> Claim:
    """The claim, measured on an engine of its own."""
    share = sittings.measurement(PLANNED, functools.partial(_share, machine, scale))
    return judged(NAME, share, "scheduling/computing", "<=", 0.05)


def _share(machine: Machine, scale: loads.Scale) -> float | None:
    with our_engine(machine.model, sizes_of(machine)) as served:
        before = figures(served.socket)
        asyncio.run(loads.LOADS["distinct"](EngineCompletions(served.socket), scale, 0))
        after = figures(served.socket)
    computing, deciding = (after[name] - before[name] for name in (_COMPUTING, _SCHEDULING))
    return deciding / computing if computing else None


def figures(socket: Path) -> dict[str, float]:
    """The engine's counters without labels, by name. Blocks."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://engine") as http:
        text = http.get("/metrics").raise_for_status().text
    return {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE)}
