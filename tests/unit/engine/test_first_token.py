"""An engine serves nobody before its model has computed a token: who waits for one takes ready for working."""

from __future__ import annotations

import math

import pytest

from appliance.engine.errors import DecodeError, ModelLoadError
from appliance.engine.first_token import require_token
from appliance.engine.protocol import TokenLogprob
from tests.engine.quoting_context import QuotingContext


def test_a_model_that_answers_leaves_an_empty_context() -> None:
    context = QuotingContext()
    require_token(context)
    assert context.rows == 1
    assert [context.extent(sequence) for sequence in (0, 1)] == [(-1, -1), (-1, -1)]
    assert context.samplers == 0


def test_a_model_that_computes_nothing_is_not_served() -> None:
    context = QuotingContext()
    context.failures = [DecodeError("llama_decode returned -3")]
    with pytest.raises(ModelLoadError, match="computes no token: llama_decode returned -3"):
        require_token(context)
    assert context.extent(0) == (-1, -1)


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_model_that_computes_no_number_is_not_served(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    context = QuotingContext()
    monkeypatch.setattr(context, "logprob", lambda *_: TokenLogprob(b"a", value))
    with pytest.raises(ModelLoadError, match="no number"):
        require_token(context)
    assert context.samplers == 0
