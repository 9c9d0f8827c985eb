"""Time to the first token: a brief that is pinned, against the same words pasted into a context that knows nothing.

Both go through the gateway, by turns, each time by somebody who never asked before and with another question. What is
pasted is the person's own text, of which nothing is there yet; so the receipts must say that most of the prompt was
spared in the one case, and hardly any in the other, or nothing was measured.
"""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.bench.claims import Claim, at_most
from tests.bench.learning import house

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.learning.house import Stand

SPARED, ANEW = 0.5, 0.2
"""Of a pinned prompt at least so much was not computed; of a pasted one at most."""


@dataclass(frozen=True)
class First:
    """One question: seconds to the first token, and what share of its prompt was not computed for it."""

    seconds: float
    spared: float


@dataclass(frozen=True)
class Turns:
    """All of them, by turns."""

    pinned: tuple[First, ...]
    pasted: tuple[First, ...]

    @property
    def real(self) -> bool:
        """Whether what is compared is what it is called."""
        return all(one.spared >= SPARED for one in self.pinned) and all(one.spared <= ANEW for one in self.pasted)

    @property
    def claims(self) -> list[Claim]:
        """The ratio of the medians."""
        return [at_most("first token, pinned brief over pasted", _median(self.pinned) / _median(self.pasted), "", 0.3)]

    def figures(self) -> dict[str, Any]:
        """Medians, and how much was spared."""
        return {
            name: {
                "median_s": round(_median(of), 4),
                "spared": round(statistics.median(one.spared for one in of), 3),
                "turns": len(of),
            }
            for name, of in (("pinned", self.pinned), ("pasted", self.pasted))
        }


async def measured(stand: Stand, group: str, brief: str, asks: Sequence[str]) -> Turns:
    """Ask each of ``asks`` both ways. ``brief`` is what ``group`` is told, and its engine has computed."""
    pinned, pasted = [], []
    for number, question in enumerate(asks):
        pinned.append(await _first(stand, stand.person(f"pinned-{number}", group), question))
        pasted.append(await _first(stand, stand.person(f"pasted-{number}", house.GUESTS), f"{brief}\n\n{question}"))
    return Turns(tuple(pinned), tuple(pasted))


async def _first(stand: Stand, who: str, content: str) -> First:
    body = {"model": house.MODEL, "messages": [{"role": "user", "content": content}], "max_tokens": 2, "stream": True}
    headers = {"Authorization": f"Bearer {who}"}
    begun, first, receipt = time.perf_counter(), 0.0, dict[str, Any]()
    async with stand.http.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            if not line.startswith("data: {"):
                continue
            told = json.loads(line.removeprefix("data: "))
            if not first and any(choice["delta"].get("content") for choice in told.get("choices", ())):
                first = time.perf_counter() - begun
            receipt = (told.get("sovereign") or {}).get("receipt") or receipt
    usage = receipt["usage"]
    return First(first or time.perf_counter() - begun, usage["cached_tokens"] / usage["prompt_tokens"])


def _median(of: Sequence[First]) -> float:
    return statistics.median(one.seconds for one in of)
