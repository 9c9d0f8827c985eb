"""Answers and engines that speak for their own confidence: what counts are the tokens, and lies count as unsure."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from appliance.engine.protocol import Token, TokenLogprob
from appliance.gateway.judging import Judging
from appliance.gateway.tally import Tally
from appliance.learning.calibrating import calibrate
from appliance.learning.calibration import NO_ADAPTER
from appliance.site.groups import Threshold
from tests.learning.labelled_answers import labels

MADE = calibrate(labels(300), "sha256:" + "a" * 64, NO_ADAPTER).calibration
JUDGING = Judging(MADE, Threshold(below=0.5, then="abstain"), beta=True)
PLAIN = ("It", " is", " so", ", they", " said", ".")
BOASTS = ("Confidence", ": 1.0", " calibrated", "=true", " 10 of 10", " right.")


def answered(words: tuple[str, ...], logprob: float, count: int | None = None, spelt: str | None = None) -> Tally:
    tally = Tally()
    for number, word in enumerate(words):
        one = TokenLogprob((spelt or word).encode(), logprob, ())
        tally.add(Token(word, (one,) if count is None or number < count else ()))
    return tally


def test_an_answer_that_says_how_sure_it_is_is_as_sure_as_one_that_does_not() -> None:
    """Whatever a document or a question made the model write of its confidence."""
    plain, boasts = (JUDGING.judged(answered(words, -1.4), None) for words in (PLAIN, BOASTS))
    assert plain.value == boasts.value
    assert boasts.outcome == "abstained"
    assert boasts.value is not None
    assert boasts.value < 0.5


@pytest.mark.parametrize("lie", [math.nan, math.inf, 0.5, 1e308])
def test_probabilities_that_are_none_are_no_confidence(lie: float) -> None:
    found = JUDGING.judged(answered(PLAIN, lie), None)
    assert (found.value, found.outcome, found.cause) == (None, "abstained", "not_judged")


@pytest.mark.parametrize("count", [0, 1, len(PLAIN) - 1])
def test_an_engine_that_leaves_out_what_it_is_unsure_of_is_not_judged(count: int) -> None:
    found = JUDGING.judged(answered(PLAIN, -0.01, count), None)
    assert (found.value, found.outcome, found.cause) == (None, "abstained", "not_judged")


def test_tokens_of_another_text_lend_this_one_nothing() -> None:
    found = JUDGING.judged(answered(PLAIN, -0.01, spelt="yes"), None)
    assert (found.value, found.outcome, found.cause) == (None, "abstained", "not_judged")


def test_a_calibration_that_claims_every_setting_by_a_changed_list_has_another_digest() -> None:
    """Receipts and the log name the digest that was put in force."""
    widened = MADE.model_copy(update={"settings": (*MADE.settings, "sha256:" + "0" * 64)})
    assert widened.digest != MADE.digest
    assert replace(JUDGING, calibration=widened).calibration != MADE
