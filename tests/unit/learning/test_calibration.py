"""Confidence holds on answers that were not fitted on, or there is none."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from appliance.learning.calibrating import MOST_ECE, calibrate
from appliance.learning.calibration import (
    LEAST_LABELS,
    NO_ADAPTER,
    Calibration,
    check_enough,
    fit,
    read_calibration,
)
from appliance.learning.calibration_html import render
from appliance.learning.confidence import NAMES, Signal
from appliance.learning.errors import CalibrationError
from appliance.learning.reliability import crossed, findings, reliability
from tests.learning.labelled_answers import labels

MODEL = "sha256:" + "a" * 64


def made(count: int = 300) -> Calibration:
    return calibrate(labels(count), MODEL, NO_ADAPTER).calibration


def test_ece_and_brier_are_those_of_a_hand_worked_example() -> None:
    """Five bins of two: |0.1-0|, |0.3-0.5|, |0.5-0.5|, |0.7-1|, |0.9-1| by their weights."""
    said = [0.1, 0.1, 0.3, 0.3, 0.5, 0.5, 0.7, 0.7, 0.9, 0.9]
    right = [False, False, True, False, True, False, True, True, True, True]
    found = reliability(said, right)
    assert [one.count for one in found.bins] == [2] * 5
    assert found.ece == pytest.approx((0.1 + 0.2 + 0.0 + 0.3 + 0.1) / 5)
    assert found.brier == pytest.approx((2 * 0.01 + 0.49 + 0.09 + 0.25 * 2 + 2 * 0.09 + 2 * 0.01) / 10)


def test_equal_predictions_are_never_in_two_bins() -> None:
    """Else an order by outcome would make bins of right ones and of wrong ones of what was said alike."""
    found = reliability([0.5] * 100, [index % 2 == 0 for index in range(100)])
    assert [(one.count, one.said, one.right) for one in found.bins] == [(100, 0.5, 0.5)]
    assert found.ece == 0.0


def test_the_fit_is_the_maximum_of_the_penalised_likelihood() -> None:
    """One binary feature, no other spread: the gradient is zero there, by a formula of its own."""
    base = labels(80)
    one = [
        replace(label, signal=Signal(-1.0 if index % 2 else -0.5, -1.0, 1.0), right=index % 2 == 0 or index % 5 == 0)
        for index, label in enumerate(base)
    ]
    found = fit(one)
    assert found.scales[1:] == (0.0,) * (len(NAMES) - 1)
    positive, negative = sum(label.right for label in one), sum(not label.right for label in one)
    targets = [(positive + 1) / (positive + 2) if label.right else 1 / (negative + 2) for label in one]
    off = [found.probability(label.signal) - target for label, target in zip(one, targets, strict=True)]
    inputs = [(label.signal.mean - found.means[0]) / found.scales[0] for label in one]
    assert math.fsum(off) == pytest.approx(0, abs=1e-6)
    assert math.fsum(o * x for o, x in zip(off, inputs, strict=True)) + found.weights[0] == pytest.approx(0, abs=1e-6)


def test_calibration_mends_what_tokens_alone_say() -> None:
    found = calibrate(labels(600), MODEL, NO_ADAPTER).found
    assert found.before.ece > 0.05
    assert found.after.ece <= MOST_ECE
    assert found.after.ece < found.before.ece
    assert found.after.brier < found.blind


def test_figures_come_from_answers_that_were_not_fitted_on() -> None:
    """With outcomes that go with nothing, a fit that had seen them would look better than the share of right ones."""
    noise = labels(300, slope=0.0)
    found = calibrate(noise, MODEL, NO_ADAPTER)
    assert found.found.after.brier >= found.found.blind - 0.002
    said, _ = crossed(noise)
    seen = fit(noise)
    assert any(abs(value - seen.probability(one.signal)) > 1e-6 for value, one in zip(said, noise, strict=True))


def test_two_answers_to_one_case_are_never_on_both_sides() -> None:
    """A case asked five times with one outcome would predict itself."""
    drawn = labels(40, slope=0.0)
    again = [one for one in drawn for _ in range(5)]
    said, _ = crossed(again)
    by_case = [said[index * 5 : index * 5 + 5] for index in range(40)]
    assert all(len(set(values)) == 1 for values in by_case)


def test_a_number_that_decides_nothing_is_not_put_in_force() -> None:
    refused = calibrate(labels(300, seed=5, slope=0.0), MODEL, NO_ADAPTER).refusals
    assert any("no better than their share" in one for one in refused)
    assert calibrate(labels(300), MODEL, NO_ADAPTER).refusals == []


@pytest.mark.parametrize("right", [True, False])
def test_labels_of_one_outcome_make_no_calibration_and_break_nothing(right: bool) -> None:  # noqa: FBT001 - the outcome
    same = [replace(one, right=right) for one in labels(200)]
    with pytest.raises(CalibrationError, match="50"):
        calibrate(same, MODEL, NO_ADAPTER)
    value = fit(same).probability(same[0].signal)
    assert 0 < value < 1
    assert (value > 0.9) == right


def test_too_few_labels_make_none() -> None:
    with pytest.raises(CalibrationError, match=f"{LEAST_LABELS - 1} answers"):
        check_enough(labels(LEAST_LABELS - 1))
    with pytest.raises(CalibrationError, match="cases"):
        calibrate([replace(one, case="one") for one in labels(200)], MODEL, NO_ADAPTER)
    with pytest.raises(CalibrationError):
        fit([])


def test_answers_of_a_sort_that_it_did_not_see_have_no_number() -> None:
    plain = made()
    assert (plain.plain, plain.grounded) == (True, False)
    signal = labels(1)[0].signal
    assert plain.confidence(signal) is not None
    assert plain.confidence(replace(signal, grounded=1.0)) is None
    both = calibrate([*labels(300), *labels(60, seed=2, grounded=True)], MODEL, NO_ADAPTER).calibration
    assert both.confidence(replace(signal, grounded=1.0)) is not None


def test_features_that_never_differed_say_nothing() -> None:
    signal = labels(1)[0].signal
    assert made().confidence(replace(signal, retrieved=1000.0)) == made().confidence(signal)


def test_what_is_kept_reads_back_and_gives_the_same_numbers() -> None:
    one = made()
    again = read_calibration(one.raw)
    assert (again, again.digest) == (one, one.digest)
    assert [again.confidence(label.signal) for label in labels(20)] == [one.confidence(x.signal) for x in labels(20)]


@pytest.mark.parametrize(
    "change",
    [
        {"weights": {}},
        {"intercept": "0"},
        {"labels": 3},
        {"ece": 2},
        {"model": "gemma"},
        {"extra": 1},
        {"means": dict.fromkeys(NAMES, 1e9)},
    ],
)
def test_a_calibration_that_is_none_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(CalibrationError):
        read_calibration(json.dumps(json.loads(made().raw) | change).encode())
    with pytest.raises(CalibrationError):
        read_calibration(b'{"intercept": NaN}')


def test_extreme_answers_still_get_a_number_between_0_and_1() -> None:
    for mean in (-20.0, 0.0):
        value = made().confidence(Signal(mean, mean, 14.0))
        assert value is not None
        assert 0 < value < 1


def test_the_report_stands_alone_and_runs_nothing() -> None:
    page = render(calibrate(labels(300), MODEL, NO_ADAPTER), "<script>alert(1)</script>", ["sha256:" + "b" * 64])
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http://" not in page
    assert "https://" not in page
    assert page.count("<circle") >= 10
    assert "ECE after" in page


def test_the_same_answers_counted_again_prove_no_more() -> None:
    once = labels(120)
    one, many = findings(once), findings(once * 8)
    assert many.gain <= one.gain + 0.01
