"""Whether a group may be put under a pack: the gate's rules, and a stricter one about what must never fail. Pure.

The gate refuses a vital case that held and holds no more. A pack that is to be put in force says of itself what must
never fail, so here no vital case may fail at all, whatever held before and however much else improved; and each that
fails is named. Costs are shown and not judged: on trial a pack's words are computed anew where in force they stay in
memory, so a trial costs more than what it tries.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from appliance.learning.gate import COSTS, decide
from appliance.learning.resampling import RESAMPLES

if TYPE_CHECKING:
    from appliance.learning.gate import Decision
    from appliance.learning.results import Results


def judged(before: Results, after: Results, *, resamples: int = RESAMPLES) -> Decision:
    """The decision on the pack that ``after`` was asked under. Raises ``ResultError`` as ``decide``."""
    decision = decide(before, after, resamples=resamples, shown=COSTS)
    failed = sorted({row.case for row in after.rows if row.vital and row.score < 1})
    refusals = tuple(f"vital case {case} does not hold" for case in failed)
    others = tuple(one for one in decision.refusals if not one.startswith("vital case"))
    return replace(decision, refusals=(*refusals, *others))
