"""What is claimed of the engine, each claim with its bound; one that cannot be judged does not hold, and says why."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tests.bench.engine.contenders import OURS, PEER
from tests.bench.engine.figures import median, ratios

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.engine.rounds import Measured

_COMPARE = {">=": operator.ge, "<=": operator.le}
_MOSTLY = 0.9


@dataclass(frozen=True)
class Claim:
    """``holds``: whether ``value``, a median over the rounds, is within ``bound``."""

    name: str
    value: float | None
    unit: str
    bound: str
    holds: bool
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; without a note where there is none."""
        said = {name: value for name, value in vars(self).items() if name != "note"}
        return said | ({"note": self.note} if self.note else {})


def judged(name: str, value: float | None, unit: str, sign: Literal[">=", "<="], bound: float) -> Claim:
    """``value`` against ``bound``; ``None`` and what is not finite do not hold."""
    text = f"{sign} {bound:g}"
    if value is None or not math.isfinite(value):
        return Claim(name, None, unit, text, holds=False, note="not measured: a round gave no figure")
    return Claim(name, round(value, 4), unit, text, holds=bool(_COMPARE[sign](value, bound)))


@dataclass(frozen=True)
class Ratio:
    """A claim about one figure of a load, ours to the peer's."""

    name: str
    load: str
    figure: str
    sign: Literal[">=", "<="]
    bound: float


RATIOS = (
    Ratio("one stream, decode", "one_stream", "tok_s", ">=", 0.97),
    Ratio("one stream, time to first token", "one_stream", "first_s", "<=", 1.05),
    Ratio("16 clients, distinct prompts, tok/s", "distinct", "tok_s", ">=", 1.0),
    Ratio("16 clients, shared 1,000-token prefix, cold, tok/s", "shared", "tok_s", ">=", 2.5),
    Ratio("16 clients, shared 1,000-token prefix, cold, p50", "shared", "p50_s", "<=", 0.5),
    Ratio("16 clients, shared 1,000-token prefix, warm, tok/s", "warm", "tok_s", ">=", 1.5),
    Ratio("64 users in 4 groups, tok/s at p95 first token within 5 s", "groups", "tok_s", ">=", 2.0),
    Ratio("a light user's first token beside a heavy one", "fairness", "busy_s", "<=", 0.01),
)


def of_rounds(measured: Measured) -> Iterator[Claim]:
    """Every claim about the loads that were measured."""
    for ratio in RATIOS:
        if ratio.load in measured.figures:
            found = ratios(*(measured.column(ratio.load, who, ratio.figure) for who in (OURS, PEER)))
            yield judged(ratio.name, median(found), f"{OURS}/{PEER}", ratio.sign, ratio.bound)
    if "fairness" in measured.figures:
        yield from _fairness(measured)
    yield restart(measured)


def _fairness(measured: Measured) -> Iterator[Claim]:
    idle, busy = (measured.column("fairness", OURS, name) for name in ("idle_s", "busy_s"))
    name = "a light user's first token beside a heavy one, to their own idle time"
    yield judged(name, median(ratios(busy, idle)), "busy/idle", "<=", 3.0)
    beside = measured.column("fairness", OURS, "heavy_tok_s")
    alone = measured.column("heavy_alone", OURS, "tok_s")
    name = "the heavy user's own tok/s beside a light one"
    yield judged(name, median(ratios(beside, alone)), "beside/alone", ">=", 0.9)


def restart(measured: Measured) -> Claim:
    """First token after a restart; not supported where the engine found nothing of the prefix again."""
    name, unit, bound = "restart with the prefix on disk, time to first token", "restarted/computed", 0.2
    kept = median([found["kept"] for found in measured.restarts])
    if kept is None or kept < _MOSTLY:
        return Claim(name, None, unit, f"<= {bound:g}", holds=False, note="not supported: nothing survives a restart")
    found = [found["restarted_s"] / found["computed_s"] for found in measured.restarts]
    return judged(name, median(found), unit, "<=", bound)
