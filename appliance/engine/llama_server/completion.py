"""One request in llama-server's words, and its answer in ours. Pure; what the server says is not trusted.

The sampler chain is that of our own engine: temperature, top-k, top-p, then the draw, and none of the server's other
defaults (its ``min_p`` of 0.05, for one). Refusals that depend on the server's state are ``Failed``: they come after
the request was admitted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.engine.protocol import Failed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.protocol import FinishReason, Request

_SEEDS = 0xFFFF_FFFF  # 32 bits, and the highest value means "random"
_NUCLEUS = 1024  # as our own engine: a nucleus is drawn from so many candidates
_WANTED = ["content", "stop", "stop_type", "tokens_predicted", "tokens_evaluated", "timings"]
_COUNT_LIMIT = 1 << 31
_REASONS: dict[str, FinishReason] = {"eos": "stop", "word": "stop", "limit": "length"}
_FAILURES = {
    "exceed_context_size_error": Failed("context_length_exceeded", "the prompt is longer than the model's context"),
    "invalid_request_error": Failed("upstream_refused", "llama-server refuses this request"),
    "unavailable_error": Failed("engine_loading", "llama-server still loads its model"),
}
_BROKEN = Failed("decode_failed", "llama-server could not finish this request")


@dataclass(frozen=True)
class Prepared:
    """A request that can be sent: its prompt as token ids, its stop strings, its seed, and GBNF text or nothing."""

    tokens: tuple[int, ...]
    stops: tuple[str, ...]
    seed: int
    grammar: str | None


@dataclass(frozen=True)
class Piece:
    """One line of the answer: new text, and with the last one why it ended and what was counted."""

    text: str
    reason: FinishReason | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0


def body(request: Request, prepared: Prepared) -> dict[str, Any]:
    """The body of ``POST /completion``."""
    asked: dict[str, Any] = {
        "prompt": list(prepared.tokens),
        "n_predict": request.max_tokens,
        "stream": True,
        "cache_prompt": False,
        "temperature": request.temperature,
        "top_k": request.top_k or (_NUCLEUS if request.top_p < 1 else 0),
        "top_p": request.top_p,
        "min_p": 0.0,
        "samplers": ["temperature", "top_k", "top_p"],
        "seed": prepared.seed % _SEEDS,
        "stop": list(prepared.stops),
        "response_fields": _WANTED,
    }
    if prepared.grammar is not None:
        asked["grammar"] = prepared.grammar
    return asked


def piece(line: str) -> Piece | Failed | None:
    """What one line of the event stream says; ``None`` for lines that say nothing. Raises ``ValueError``."""
    kind, _, data = line.partition(":")
    if kind == "error":
        return failure(data)
    if kind != "data" or data.strip() == "[DONE]":
        return None
    said = _object(data)
    if "error" in said:
        return failure(data)
    text = said.get("content", "")
    if not isinstance(text, str) or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("llama-server's text is no text")
    return _last(text, said) if said.get("stop") is True else Piece(text)


def _last(text: str, said: dict[str, Any]) -> Piece:
    reason = _REASONS.get(str(said.get("stop_type")))
    if reason is None:
        raise ValueError("llama-server ended for no known reason")
    timings = said.get("timings")
    cached = timings.get("cache_n", 0) if isinstance(timings, dict) else 0
    return Piece(text, reason, _count(said.get("tokens_evaluated")), _count(cached), _count(said["tokens_predicted"]))


def failure(data: str) -> Failed:
    """What an error object means, by its ``type`` alone: its text may repeat a prompt, and goes nowhere."""
    try:
        error = _object(data)
    except ValueError:
        return _BROKEN
    inner = error.get("error", error)
    kind = inner.get("type") if isinstance(inner, dict) else None
    return _FAILURES.get(kind, _BROKEN) if isinstance(kind, str) else _BROKEN


def token_ids(data: bytes) -> list[int]:
    """The answer of ``POST /tokenize``. Raises ``ValueError`` for anything else."""
    tokens = _object(data).get("tokens")
    if not isinstance(tokens, list):
        raise ValueError("llama-server gives no tokens")  # noqa: TRY004 - one kind of error for a bad answer
    return [_count(token) for token in tokens]


def _object(data: str | bytes) -> dict[str, Any]:
    found = json.loads(data)
    if not isinstance(found, dict):
        raise ValueError("llama-server's answer is no object")  # noqa: TRY004 - as above
    return found


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _COUNT_LIMIT:
        raise ValueError(f"llama-server counts {value!r:.40}")
    return value


def reject_empty(tokens: Sequence[int], limit: int) -> str | None:
    """Why a prompt of ``tokens`` cannot be asked where prompt and answer share ``limit`` tokens."""
    if not tokens:
        return "empty_prompt"
    return "context_length_exceeded" if len(tokens) >= limit else None
