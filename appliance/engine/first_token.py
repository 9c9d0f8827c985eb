"""One token, computed and drawn before anybody is served: a model that loads may yet compute what is no number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from appliance.engine.context import Piece, Sampling
from appliance.engine.errors import DecodeError, ModelLoadError

if TYPE_CHECKING:
    from appliance.engine.context import Context

_TEXT = "a"
_GREEDY = Sampling(temperature=0, top_p=1, top_k=None, seed=0, grammar=None)
_HINT = "the file is as it was signed: serve another model, or this one on another host"


def require_token(context: Context) -> None:
    """Raise ``ModelLoadError`` unless ``context``, which is empty and is left so, answers with a likely token."""
    tokens = tuple(context.tokenize(_TEXT, control=False, begin=True))
    try:
        (row,) = context.decode([Piece(tokens, 0, (0, 1), sampled=True)])
        sampler = context.sampler(_GREEDY)
        try:
            logprob = context.logprob(row, sampler.sample(row), 0).logprob
        finally:
            sampler.close()
    except DecodeError as error:
        raise ModelLoadError(f"the model loads and computes no token: {error.cause}", _HINT) from error
    finally:
        context.clear()
    if not math.isfinite(logprob):
        raise ModelLoadError("the model loads and computes what is no number", _HINT)
