"""How sure an answer is, and what follows from it for a group: values and pure functions.

Measured are answers of groups that are given ``confidence`` (beta), and of programs that evaluate. A number is told
only where a calibration for this model and adapter is in force, was learnt under the very instructions, pack, brief and
settings that the answer is given under, and covers answers of this sort; a group's threshold holds under the same
condition, and never for programs that evaluate: they measure the answers themselves.

Where a threshold holds and the group says ``abstain`` or ``ask_back``, the answer is held back until it is judged. What
is unknown then counts as unsure: an engine that gives no log probabilities, or such as do not belong to the text, would
otherwise choose which answers are looked at. An answer that declines claims nothing, so no number is told of it; it is
measured against the threshold all the same, or words of refusal in front would carry any answer past it. One that calls
tools is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from appliance.gateway.asking_back import sentence
from appliance.learning.confidence import signal
from appliance.learning.signals import turned_down

if TYPE_CHECKING:
    from appliance.gateway.grounding import Grounding
    from appliance.gateway.tally import Tally
    from appliance.learning.calibration import Calibration
    from appliance.learning.confidence import Signal
    from appliance.site.groups import Threshold

BETA = "confidence"
Outcome = Literal["given", "marked", "abstained", "asked_back"]
Cause = Literal["low_confidence", "not_judged"]
Unmeasured = Literal["not_calibrated", "other_setting", "other_sort"]
"""No calibration for model and adapter; one that was learnt under another setting; one of other answers."""
_SHORT = 600
"""Characters up to which an answer that begins by declining is taken to do nothing else."""
_BELOW: dict[str, Outcome] = {"abstain": "abstained", "ask_back": "asked_back", "mark": "marked"}


@dataclass(frozen=True)
class Judged:
    """What came of it. ``value`` is None where no number can be told; ``cause`` is there unless ``given``."""

    signal: Signal | None = None
    value: float | None = None
    outcome: Outcome = "given"
    cause: Cause | None = None

    @property
    def withheld(self) -> bool:
        """Whether a sentence of the site's stands in the answer's place."""
        return self.outcome in {"abstained", "asked_back"}


NOT_JUDGED = Judged()
"""Of an answer that did not come to its end, or of which nothing is measured."""


@dataclass(frozen=True)
class Judging:
    """How one answer is judged: by which calibration and threshold, both of which may be missing.

    ``setting``: the digest of what it is given under. ``unmeasured``: why there is no calibration for it.
    """

    calibration: Calibration | None = None
    threshold: Threshold | None = None
    beta: bool = False
    setting: str = ""
    unmeasured: Unmeasured | None = None

    @property
    def holds(self) -> bool:
        """Whether the answer is held back until it is judged."""
        return self.threshold is not None and self.threshold.then != "mark"

    def judged(self, tally: Tally, grounding: Grounding | None) -> Judged:
        """Of an answer that came to its end by itself."""
        if tally.calls:
            return Judged()
        found = None
        if spelt(tally):
            cosines = [one.cosine for one in grounding.passages] if grounding is not None else ()
            found = signal([one.logprob for one in tally.logprobs], tally.rested, cosines)
        value = self.calibration.confidence(found) if self.calibration is not None and found is not None else None
        if self.threshold is None or (value is not None and value >= self.threshold.below):
            declines = len(tally.text) <= _SHORT and turned_down(tally.text, None)
            return Judged() if declines else Judged(found, value)
        return Judged(
            found, value, _BELOW[self.threshold.then], "low_confidence" if value is not None else "not_judged"
        )

    def receipt(self, judged: Judged) -> dict[str, Any]:
        """The receipt's part: what was measured, what it comes to, and by which calibration; no word of an answer."""
        return {
            **({"signal": judged.signal.told()} if judged.signal is not None else {}),
            **self.told(judged),
            **({"setting": self.setting} if self.setting else {}),
            **({"calibration": self.calibration.digest} if self.calibration is not None else {}),
            **({"below": self.threshold.below} if self.threshold is not None else {}),
        }

    def told(self, judged: Judged) -> dict[str, Any]:
        """What callers are told beside the receipt; ``labels`` and ``ece`` are of the calibration behind the number."""
        known = self.calibration if judged.value is not None else None
        return {
            "value": round(judged.value, 3) if judged.value is not None else None,
            "calibrated": known is not None,
            "labels": known.labels if known is not None else None,
            "ece": round(known.ece, 3) if known is not None else None,
            "outcome": judged.outcome,
            **({"unmeasured": self.unmeasured} if self.unmeasured is not None else {}),
            **({"cause": judged.cause} if judged.cause is not None else {}),
            "beta": self.beta,
        }


def spelt(tally: Tally) -> bool:
    """Whether the log probabilities are of this text: their tokens spell it, and what a stop string cut off."""
    spelled = b"".join(one.piece for one in tally.logprobs).decode(errors="replace")
    return bool(tally.text) and spelled.startswith(tally.text)


def in_its_place(judged: Judged, question: str, tally: Tally, default: str) -> str:
    """What is said instead of an answer that is withheld."""
    return sentence(question, default, asks=judged.outcome == "asked_back", rested=tally.rested)


def emptied(rested: dict[str, Any] | None) -> dict[str, Any] | None:
    """What the site's sentence rests on: on nothing, whichever passages the model was given."""
    if rested is None:
        return None
    return {**rested, "passages": [{**one, "cited": False} for one in rested["passages"]], "claims": []}
