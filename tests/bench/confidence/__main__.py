"""`make bench-confidence`: how far confidence is off after calibration, on answers that it was not fitted on.

The demonstration's model answers questions whose answers are known (``questions``), drawn as the page draws, by going
on with a text that states facts. Features, fit, folds and bins are those of `sovereign learn calibrate`. The last line
is JSON; the diagram is in ``dist``, and so are the answers: run again after ``--minutes``, or after it was ended in any
way, it asks what is left.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import os
import platform
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.engine.client import EngineClient
from appliance.engine.protocol import Request, Token
from appliance.gateway.sampling import DEFAULT_TEMPERATURE, DEFAULT_TOP_P
from appliance.learning.calibrating import MOST_ECE, calibrate
from appliance.learning.calibration import NO_ADAPTER, Label
from appliance.learning.calibration_html import render
from appliance.learning.confidence import signal
from appliance.learning.errors import CalibrationError
from appliance.learning.scoring import score
from appliance.learning.setting import setting
from appliance.learning.signals import declined
from tests.bench.claims import Claim, at_least, at_most, tell
from tests.bench.confidence.kept import Kept
from tests.bench.confidence.questions import SEED, Asked, questions
from tests.bench.learning.models import CHAT, found
from tests.engine.served import Sizes, our_engine

if TYPE_CHECKING:
    from collections.abc import Sequence

OUT = Path("dist/bench-confidence.html")
KEPT = Path("dist/bench-confidence.jsonl")
_TOKENS = 6
_SETTING = setting({"bench": "completions"})
_TOGETHER = 4


async def ask(socket: Path, asks: Sequence[Asked], kept: Kept, seconds: float = math.inf) -> None:
    """Each question that was not asked yet, for so many seconds; what declines, or has no token, is no label."""
    begun = time.monotonic()
    client = EngineClient(socket)
    turns = asyncio.Semaphore(_TOGETHER)
    left = [(number, one) for number, one in enumerate(asks) if one.name not in kept.labels]
    done = 0

    async def one(number: int, asked: Asked) -> None:
        nonlocal done
        async with turns:
            if time.monotonic() - begun > seconds:
                return
            tokens = [event async for event in client.generate(_request(number, asked)) if isinstance(event, Token)]
        kept.add(asked.name, _label(asked, tokens))
        done += 1
        if done % 10 == 0 or done == len(left):
            tell(progress(len(asks) - len(left) + done, len(asks), kept, (time.monotonic() - begun) / done))

    await asyncio.gather(*(one(number, asked) for number, asked in left))
    await client.aclose()


def progress(asked: int, of: int, kept: Kept, each: float) -> str:
    """How far it is, and how long the rest takes at this pace."""
    labels = sum(one is not None for one in kept.labels.values())
    return f"  {asked}/{of} asked, {labels} labels, about {math.ceil((of - asked) * each / 60)} min left"


def _label(asked: Asked, tokens: Sequence[Token]) -> Label | None:
    text = "".join(token.text for token in tokens)
    measured = signal([one.logprob for token in tokens for one in token.logprobs])
    if measured is None or declined(text):
        return None
    right = score(asked.content, text) >= 1
    return Label(asked.name, measured, right, asked.content.language, setting=_SETTING)


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


def measured(
    model: Path, count: int, minutes: float, threads: int = 2, *, fresh: bool = False
) -> tuple[list[Claim], dict[str, Any]]:
    """Claims and figures of ``count`` questions, asked for so many ``minutes`` (0: until all are asked).

    What was asked before is not asked again. Raises ``CalibrationError`` where the labels are too few or too alike.
    """
    asks = questions(count)
    if fresh:
        KEPT.unlink(missing_ok=True)
    with model.open("rb") as file:
        weights = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    kept = Kept(KEPT, {"model": weights, "seed": SEED, "tokens": _TOKENS, "setting": _SETTING})
    before = sum(one.name in kept.labels for one in asks)
    tell(f"  {before}/{len(asks)} were asked before, in {KEPT}")
    if before < len(asks):
        with our_engine(model, Sizes(context_tokens=1024, threads=threads)) as engine:
            asyncio.run(ask(engine.socket, asks, kept, minutes * 60 or math.inf))
    pairs = [(one, label) for one in asks if (label := kept.labels.get(one.name)) is not None]
    labels = [label for _, label in pairs]
    made = calibrate(labels, "sha256:" + "0" * 64, NO_ADAPTER)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(render(made, model.name, []))
    seen = made.found
    claims = [
        at_most("expected calibration error after calibration, held out", seen.after.ece, "", MOST_ECE),
        at_least("Brier score nearer than the share of right answers, beyond noise", seen.gain, "", 0.0),
        at_least("labels", len(labels), "", 200),
    ]
    sorts = Counter(asked.sort for asked, _ in pairs)
    right = Counter(asked.sort for asked, label in pairs if label.right)
    told = {
        "figures": made.figures() | {"slices": {name: round(one.ece, 4) for name, one in seen.slices.items()}},
        "right_by_sort": {name: round(right[name] / sorts[name], 3) for name in sorted(sorts)},
        "asked": sum(one.name in kept.labels for one in asks),
        "asked_before": before,
        "of": len(asks),
        "refusals": made.refusals,
    }
    return claims, told


def main() -> None:
    """Measure, print progress on stderr and claims on stdout."""
    options = argparse.ArgumentParser()
    options.add_argument("--model", type=Path, help="the model's GGUF; without it, the release's own is found")
    options.add_argument("--questions", type=int, default=300)
    options.add_argument("--minutes", type=float, default=0, help="ask for so long at most; 0: until all are asked")
    options.add_argument("--fresh", action="store_true", help="ask everything again")
    options.add_argument("--threads", type=int, default=2, help="of the engine")
    given = options.parse_args()
    model = given.model or found(CHAT).path
    try:
        claims, told = measured(model, given.questions, given.minutes, given.threads, fresh=given.fresh)
    except CalibrationError as error:
        sys.exit(f"{error.cause}; what was asked is kept in {KEPT}: run it again, it goes on from there")
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "system": platform.platform()}
    sys.stdout.write(json.dumps({"machine": machine, **told, "claims": [asdict(claim) for claim in claims]}) + "\n")


if __name__ == "__main__":
    main()
