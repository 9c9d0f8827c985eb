"""A calibration made of labels, and whether it may be put in force. Pure.

It may where, on answers that it had not seen, the expected calibration error is at most ``MOST_ECE``, and it comes
nearer to what was right than whoever always says the share of right answers does (Brier score, beyond noise): a number
that is the same for every answer would decide nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.learning.calibration import MOST_SETTINGS, OF_A_SORT, Calibration, check_enough, fit
from appliance.learning.confidence import NAMES
from appliance.learning.errors import CalibrationError
from appliance.learning.reliability import findings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.learning.calibration import Label
    from appliance.learning.reliability import Findings

MOST_ECE = 0.1


@dataclass(frozen=True)
class Made:
    """A calibration, fitted on every label, with what was found of such fits on labels held out."""

    calibration: Calibration
    found: Findings
    left_out: int = 0
    """Labels of settings, or of a sort, of which there were too few."""

    @property
    def refusals(self) -> list[str]:
        """Why it may not be put in force."""
        after, blind = self.found.after, self.found.blind
        told = []
        if after.ece > MOST_ECE:
            told.append(f"its expected calibration error is {after.ece:.3f}, and {MOST_ECE} is the most")
        if self.found.gain <= 0:
            told.append(
                f"it tells right answers from wrong ones no better than their share does, beyond noise "
                f"(Brier score {after.brier:.3f}, and {blind:.3f})"
            )
        return told

    def figures(self) -> dict[str, Any]:
        """For the log and for programs."""
        made, found = self.calibration, self.found
        return {
            "model": made.model,
            "adapter": made.adapter,
            "calibration": made.digest,
            "labels": made.labels,
            "right": made.right,
            "ece_before": round(found.before.ece, 4),
            "ece_after": round(found.after.ece, 4),
            "brier_before": round(found.before.brier, 4),
            "brier_after": round(found.after.brier, 4),
            "brier_blind": round(found.blind, 4),
            "gain": round(found.gain, 5),
            "bins": len(found.after.bins),
            "plain": made.plain,
            "grounded": made.grounded,
            "settings": list(made.settings),
            "left_out": self.left_out,
        }


def calibrate(labels: Sequence[Label], model: str, adapter: str) -> Made:
    """Fit and measure. Raises ``CalibrationError`` where there are too few labels, or too few of one sort."""
    check_enough(labels)
    if len({label.case for label in labels}) < OF_A_SORT:
        raise CalibrationError(f"answers to fewer than {OF_A_SORT} cases say too little", "make more cases")
    given, labels = len(labels), _of_settings(labels)
    check_enough(labels)
    sorts = {sort: [one for one in labels if bool(one.signal.grounded) == sort] for sort in (False, True)}
    covered = {sort: len(of) >= OF_A_SORT for sort, of in sorts.items()}
    kept = [one for sort, of in sorts.items() if covered[sort] for one in of]
    check_enough(kept)
    found, fitted = findings(kept), fit(kept)
    made = Calibration(
        model=model,
        adapter=adapter,
        means=dict(zip(NAMES, fitted.means, strict=True)),
        scales=dict(zip(NAMES, fitted.scales, strict=True)),
        weights=dict(zip(NAMES, fitted.weights, strict=True)),
        intercept=fitted.intercept,
        labels=len(kept),
        right=sum(label.right for label in kept),
        ece=found.after.ece,
        brier=found.after.brier,
        bins=len(found.after.bins),
        plain=covered[False],
        grounded=covered[True],
        settings=tuple(sorted({label.setting for label in kept})),
    )
    return Made(made, found, given - len(kept))


def _of_settings(labels: Sequence[Label]) -> list[Label]:
    """Those given under a setting of which there are ``OF_A_SORT``: of any other it would say what it did not see.

    Raises ``CalibrationError`` for more settings than can be kept.
    """
    counted = Counter(label.setting for label in labels)
    enough = {one for one, count in counted.items() if one and count >= OF_A_SORT}
    if len(enough) > MOST_SETTINGS:
        raise CalibrationError(f"answers of {len(enough)} settings are too many", "name fewer results or groups")
    return [label for label in labels if label.setting in enough]
