"""From what an answer gives away of itself to how often such answers were right. Pure; numpy where it is fitted.

A logistic regression over the features of ``confidence``, standardised, with an L2 penalty: Platt scaling with more
than one input. Isotonic regression needs about a thousand labels before it does as well (Niculescu-Mizil & Caruana,
"Predicting Good Probabilities With Supervised Learning", ICML 2005), and a site has a few hundred. That a network's own
probabilities are no such thing: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.

A calibration belongs to one model and one adapter, by digest, to the settings (``setting``) and to the sorts of answers
(from documents or not) of which it saw ``OF_A_SORT`` labels. Of everything else it says nothing. One of an earlier
release names no setting, and says nothing of any answer.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from airgap_bundle import strict_json
from airgap_bundle.errors import BundleError
from appliance.learning.confidence import NAMES, Signal
from appliance.learning.errors import CalibrationError
from appliance.learning.results import Digest

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_LABELS = 50
LEAST_OF_EACH = 10
"""Right answers, and wrong ones."""
OF_A_SORT = 20
PENALTY = 1.0
"""Of the squared weights; they are of standardised features, so this is a prior of variance 1."""
MOST_SETTINGS = 256
MAX_BYTES = 64 << 10
NO_ADAPTER = "none"
_STEPS = 100
_STILL = 1e-9
_STEADY = 1e-12
_Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
_Share = Annotated[float, Field(allow_inf_nan=False, ge=0, le=1)]


@dataclass(frozen=True)
class Label:
    """An answer's features, whether it was right, and the case it answered: answers to one case are not independent."""

    case: str
    signal: Signal
    right: bool
    language: str = ""
    group: str = ""
    setting: str = ""


@dataclass(frozen=True)
class Fit:
    """Weights over standardised features; ``scales`` are 0 for features that never differed: they say nothing."""

    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float

    def probability(self, signal: Signal) -> float:
        """How often answers like this one were right. Between 0 and 1, both excluded."""
        values = [getattr(signal, name) for name in NAMES]
        total = self.intercept
        for value, mean, scale, weight in zip(values, self.means, self.scales, self.weights, strict=True):
            total += weight * (value - mean) / scale if scale else 0.0
        total = min(30.0, max(-30.0, total))
        return 1.0 / (1.0 + math.exp(-total))


class Calibration(BaseModel):
    """What is kept: of which answers, fitted on what, how well it held on answers that it had not seen."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())

    schema_version: Literal[1] = Field(alias="schema", default=1)
    model: Digest
    adapter: Digest | Literal["none"]
    means: dict[str, _Number]
    scales: dict[str, Annotated[_Number, Field(ge=0)]]
    weights: dict[str, _Number]
    intercept: _Number
    labels: Annotated[int, Field(ge=LEAST_LABELS)]
    right: Annotated[int, Field(ge=LEAST_OF_EACH)]
    ece: _Share
    brier: _Share
    bins: Annotated[int, Field(ge=1, le=100)]
    plain: bool = Field(description="Whether it saw enough answers that were not from documents.")
    grounded: bool = Field(description="Whether it saw enough answers that were.")
    settings: Annotated[tuple[Digest, ...], Field(max_length=MOST_SETTINGS, strict=False)] = Field(
        default=(), description="Digests of what the labels were answered under; absent in older ones, which fit none."
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if any(set(of) != set(NAMES) for of in (self.means, self.scales, self.weights)):
            raise ValueError("other features than those of this release")
        if self.labels - self.right < LEAST_OF_EACH:
            raise ValueError("too few wrong answers")
        return self

    @property
    def raw(self) -> bytes:
        """JSON with sorted keys, no spaces."""
        older = set() if self.settings else {"settings"}  # its digest is over what its release wrote
        said = self.model_dump(mode="json", by_alias=True, exclude=older)
        return json.dumps(said, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    @property
    def digest(self) -> str:
        """``sha256:`` over ``raw``."""
        return "sha256:" + hashlib.sha256(self.raw).hexdigest()

    def covers(self, *, grounded: bool) -> bool:
        """Whether it saw enough answers from documents (``grounded``), or not from any."""
        return self.grounded if grounded else self.plain

    def confidence(self, signal: Signal) -> float | None:
        """How often answers like this one were right; None for a sort of answers that it saw too few of."""
        if not self.covers(grounded=bool(signal.grounded)):
            return None
        means, scales, weights = (tuple(of[name] for name in NAMES) for of in (self.means, self.scales, self.weights))
        return Fit(means, scales, weights, self.intercept).probability(signal)


def read_calibration(raw: bytes) -> Calibration:
    """What ``Calibration.raw`` gave. Raises ``CalibrationError``."""
    try:
        return Calibration.model_validate(strict_json.loads(raw, max_bytes=MAX_BYTES))
    except (BundleError, ValidationError) as error:
        raise CalibrationError("a calibration that this release cannot read", "calibrate again") from error


def check_enough(labels: Sequence[Label]) -> None:
    """Raises ``CalibrationError`` where there are too few labels, or too few of one outcome."""
    right = sum(label.right for label in labels)
    if len(labels) < LEAST_LABELS or min(right, len(labels) - right) < LEAST_OF_EACH:
        raise CalibrationError(
            f"{len(labels)} answers were checked, {right} of them right; it takes {LEAST_LABELS}, "
            f"with {LEAST_OF_EACH} right and {LEAST_OF_EACH} wrong",
            "make more cases, or name more results",
        )


def fit(labels: Sequence[Label]) -> Fit:
    """Newton's method on the penalised likelihood, which has one maximum. The intercept is not penalised.

    Labels of one outcome alone give a finite answer, too: Platt's smoothed targets, (n+ + 1)/(n+ + 2) and 1/(n- + 2),
    in place of 1 and 0 ("Probabilistic Outputs for Support Vector Machines", 1999).
    """
    import numpy as np  # noqa: PLC0415 - a gateway applies calibrations and fits none

    if not labels:
        raise CalibrationError("there is nothing to fit")
    features = np.array([[getattr(label.signal, name) for name in NAMES] for label in labels])
    means, scales = features.mean(axis=0), features.std(axis=0)
    scales = np.where(scales > _STILL, scales, 0.0)
    inputs = np.column_stack(
        [np.ones(len(labels)), (features - means) / np.where(scales > 0, scales, 1.0) * (scales > 0)]
    )
    right = np.array([label.right for label in labels])
    positive, negative = int(right.sum()), int((~right).sum())
    targets = np.where(right, (positive + 1) / (positive + 2), 1 / (negative + 2))
    penalty = np.diag([_STEADY, *[PENALTY] * len(NAMES)])
    weights = np.zeros(len(NAMES) + 1)
    weights[0] = math.log((targets.mean()) / (1 - targets.mean()))
    for _ in range(_STEPS):
        said = 1 / (1 + np.exp(-np.clip(inputs @ weights, -30, 30)))
        gradient = inputs.T @ (said - targets) + penalty @ weights
        curvature = (inputs.T * (said * (1 - said))) @ inputs + penalty
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if float(np.abs(step).max()) < _STILL:
            break
    return Fit(tuple(map(float, means)), tuple(map(float, scales)), tuple(map(float, weights[1:])), float(weights[0]))
