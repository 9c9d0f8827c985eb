"""How well confidence holds: held-out predictions, expected calibration error, Brier score. Pure.

Nothing here is ever measured on answers that the fit has seen: labels are dealt into ``FOLDS`` by their case, so that
two answers to one question are never on both sides, and each is predicted by a fit of the other folds.
"""

from __future__ import annotations

import hashlib
import math
import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.learning.calibration import LEAST_LABELS, fit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from appliance.learning.calibration import Label

FOLDS = 10
BINS = 10
FEW_BINS = 5
_ONE_SIDED = 1.645
MANY = 200
"""Labels from which on there are ``BINS`` bins, and ``FEW_BINS`` below."""


@dataclass(frozen=True)
class Bin:
    """Answers of like confidence: how many, what was said of them on average, and what share was right."""

    count: int
    said: float
    right: float


@dataclass(frozen=True)
class Reliability:
    """How some answers' confidence held."""

    count: int
    ece: float
    brier: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Findings:
    """Before: the tokens' likelihood taken for a probability. After: held out."""

    before: Reliability
    after: Reliability
    blind: float
    """The Brier score of whoever says, of each held-out fold, the share that was right in the others."""
    gain: float
    """How much nearer the calibration comes than that, at least: the lower end of a one-sided 95 % interval."""
    slices: dict[str, Reliability]


def crossed(labels: Sequence[Label]) -> tuple[list[float], list[float]]:
    """For each label what a fit of the other folds says of it, and the share of right ones in those."""
    folds = _folds(labels)
    said, blind = [0.0] * len(labels), [0.0] * len(labels)
    for fold in set(folds):
        others = [label for label, of in zip(labels, folds, strict=True) if of != fold]
        fitted = fit(others)
        share = sum(label.right for label in others) / len(others)
        for index, of in enumerate(folds):
            if of == fold:
                said[index], blind[index] = fitted.probability(labels[index].signal), share
    return said, blind


def _folds(labels: Sequence[Label]) -> list[int]:
    """Cases in the order of their hash, dealt out one after the other; there are at least two."""
    cases = sorted({label.case for label in labels}, key=lambda case: hashlib.sha256(case.encode()).digest())
    of = {case: number % FOLDS for number, case in enumerate(cases)}
    return [of[label.case] for label in labels]


def reliability(said: Sequence[float], right: Sequence[bool]) -> Reliability:
    """Of predictions and outcomes. Bins hold about equally many: equal predictions stay together.

    ECE: the mean over answers of the distance between what was said and what was right in their bin (Naeini et al.,
    "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015; bins of equal mass: Nguyen & O'Connor,
    EMNLP 2015).
    """
    pairs = sorted(zip(said, right, strict=True))
    count = len(pairs)
    wanted = BINS if count >= MANY else FEW_BINS
    bins: list[list[tuple[float, bool]]] = []
    for index, pair in enumerate(pairs):
        due = index * wanted // count >= len(bins)
        if not bins or (due and pair[0] != bins[-1][-1][0]):
            bins.append([])
        bins[-1].append(pair)
    found = tuple(_bin(one) for one in bins)
    ece = sum(one.count * abs(one.said - one.right) for one in found) / max(count, 1)
    brier = sum((value - outcome) ** 2 for value, outcome in pairs) / max(count, 1)
    return Reliability(count, ece, brier, found)


def _bin(pairs: Sequence[tuple[float, bool]]) -> Bin:
    count = len(pairs)
    return Bin(count, sum(said for said, _ in pairs) / count, sum(right for _, right in pairs) / count)


def findings(labels: Sequence[Label]) -> Findings:
    """All of it; slices by language, by group, and by whether it was from documents, where ``LEAST_LABELS`` are."""
    said, blind = crossed(labels)
    right = [label.right for label in labels]
    sliced: dict[str, Reliability] = {}
    naming: dict[str, Callable[[Label], str]] = {
        "language": lambda label: label.language,
        "group": lambda label: label.group,
        "documents": lambda label: "yes" if label.signal.grounded else "no",
    }
    for by, name_of in naming.items():
        of: dict[str, list[int]] = defaultdict(list)
        for index, label in enumerate(labels):
            of[name_of(label)].append(index)
        for name, indexes in sorted(of.items()):
            if len(indexes) >= LEAST_LABELS and len(of) > 1:
                sliced[f"{by}={name}"] = reliability([said[at] for at in indexes], [right[at] for at in indexes])
    before = reliability([label.signal.likelihood for label in labels], right)
    guessed = [(value - outcome) ** 2 for value, outcome in zip(blind, right, strict=True)]
    nearer = [far - (value - outcome) ** 2 for far, value, outcome in zip(guessed, said, right, strict=True)]
    gain = statistics.fmean(nearer) - _ONE_SIDED * _error(nearer, [label.case for label in labels])
    return Findings(before, reliability(said, right), statistics.fmean(guessed), gain, sliced)


def _error(values: Sequence[float], cases: Sequence[str]) -> float:
    """Of the mean, by case: answers to one question are one observation, however often or for whom it was asked."""
    mean = statistics.fmean(values)
    of: dict[str, float] = defaultdict(float)
    for value, case in zip(values, cases, strict=True):
        of[case] += value - mean
    count = len(of)
    return math.sqrt(sum(one * one for one in of.values()) * count / (count - 1)) / len(values)
