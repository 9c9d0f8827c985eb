"""`make bench-confidence`: how far confidence is off after calibration, on answers that it was not fitted on.

The demonstration's model answers questions whose answers are known (``questions``), drawn as the page draws, by going
on with a text that states facts. Features, fit, folds and bins are those of `sovereign learn calibrate`. The last line
is JSON; the diagram is in ``dist``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.engine.client import EngineClient
from appliance.engine.protocol import Request, Token
from appliance.gateway.sampling import DEFAULT_TEMPERATURE, DEFAULT_TOP_P
from appliance.learning.calibrating import MOST_ECE, calibrate
from appliance.learning.calibration import NO_ADAPTER, Label
from appliance.learning.calibration_html import render
from appliance.learning.confidence import signal
from appliance.learning.scoring import score
from appliance.learning.setting import setting
from appliance.learning.signals import declined
from tests.bench.claims import at_least, at_most, tell
from tests.bench.confidence.questions import SEED, Asked, questions
from tests.engine.served import Sizes, our_engine

if TYPE_CHECKING:
    from collections.abc import Sequence

OUT = Path("dist/bench-confidence.html")
_TOKENS = 6
_SETTING = setting({"bench": "completions"})
_TOGETHER = 4


async def labelled(socket: Path, asks: Sequence[Asked], seconds: float = math.inf) -> list[tuple[Asked, Label]]:
    """Each question asked once, for so many seconds; answers that decline, or have no token, are no labels."""
    until = time.monotonic() + seconds
    client = EngineClient(socket)
    turns = asyncio.Semaphore(_TOGETHER)
    found: list[tuple[Asked, Label]] = []

    async def one(number: int, asked: Asked) -> None:
        async with turns:
            if time.monotonic() > until:
                return
            tokens = [event async for event in client.generate(_request(number, asked)) if isinstance(event, Token)]
        text = "".join(token.text for token in tokens)
        measured = signal([one.logprob for token in tokens for one in token.logprobs])
        if measured is not None and not declined(text):
            right = score(asked.content, text) >= 1
            found.append((asked, Label(asked.name, measured, right, asked.content.language, setting=_SETTING)))
        if number % 20 == 0:
            tell(f"  {number}/{len(asks)}")

    await asyncio.gather(*(one(number, asked) for number, asked in enumerate(asks)))
    await client.aclose()
    return sorted(found, key=lambda pair: pair[0].name)


def _request(number: int, asked: Asked) -> Request:
    return Request(
        id=f"bench-{number}",
        user=f"bench-{number % _TOGETHER}",
        group="bench",
        prompt=asked.said,
        max_tokens=_TOKENS,
        temperature=DEFAULT_TEMPERATURE,
        top_p=DEFAULT_TOP_P,
        seed=SEED + number,
        top_logprobs=0,
    )


def main() -> None:
    """Measure, print progress on stderr and claims on stdout."""
    options = argparse.ArgumentParser()
    options.add_argument("--model", type=Path, required=True, help="the model's GGUF, from a release's store")
    options.add_argument("--questions", type=int, default=300)
    options.add_argument("--minutes", type=float, default=0, help="ask for so long at most; 0: until all are asked")
    options.add_argument("--threads", type=int, default=2, help="of the engine")
    given = options.parse_args()
    with our_engine(given.model, Sizes(context_tokens=1024, threads=given.threads)) as engine:
        pairs = asyncio.run(labelled(engine.socket, questions(given.questions), given.minutes * 60 or math.inf))
    labels = [label for _, label in pairs]
    made = calibrate(labels, "sha256:" + "0" * 64, NO_ADAPTER)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(render(made, given.model.name, []))
    found = made.found
    claims = [
        at_most("expected calibration error after calibration, held out", found.after.ece, "", MOST_ECE),
        at_least("Brier score nearer than the share of right answers, beyond noise", found.gain, "", 0.0),
        at_least("labels", len(labels), "", 200),
    ]
    sorts = Counter(asked.sort for asked, _ in pairs)
    right = Counter(asked.sort for asked, label in pairs if label.right)
    result = {
        "machine": {"cores": os.cpu_count(), "load": os.getloadavg()[0], "system": platform.platform()},
        "figures": made.figures() | {"slices": {name: round(one.ece, 4) for name, one in found.slices.items()}},
        "right_by_sort": {name: round(right[name] / sorts[name], 3) for name in sorted(sorts)},
        "refusals": made.refusals,
        "claims": [asdict(claim) for claim in claims],
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
