"""How an answer is drawn, with every value settled: what is not asked for has a stated default."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Any

DEFAULT_TEMPERATURE = 0.3  # the page answers steadily rather than inventively
DEFAULT_TOP_P = 0.95
_DEFAULT_MAX_TOKENS = 1024
_SEED_BITS = 31


@dataclass(frozen=True)
class Sampling:
    """Parameters of one answer; they go to the engine; those that an answer is drawn by, into the receipt."""

    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    stop: tuple[str, ...] = ()
    json_schema: dict[str, Any] | None = None
    top_logprobs: int | None = None

    def numbered(self, number: int) -> Sampling:
        """The sampling of another answer to the same question: the seeds that follow, so that it can be drawn again."""
        return replace(self, seed=(self.seed + number) % (1 << _SEED_BITS)) if number else self

    def receipt(self) -> dict[str, Any]:
        """The sampler's part of a receipt: enough to draw the answer again."""
        return {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
            "max_tokens": self.max_tokens,
        }


UNDRAWN = Sampling(max_tokens=1, temperature=0.0, top_p=1.0, seed=0)
"""Of a request whose answer is computed and not drawn: vectors."""


def default_max_tokens(context_tokens: int) -> int:
    """How long an answer may get when nobody said: at most half the context, so that the question keeps room."""
    return min(_DEFAULT_MAX_TOKENS, context_tokens // 2)


def new_seed() -> int:
    """A seed for a request that names none; the receipt states it, so that the answer can be drawn again."""
    return secrets.randbits(_SEED_BITS)


def for_conversation(context_tokens: int) -> Sampling:
    """The page's sampling."""
    return Sampling(
        max_tokens=default_max_tokens(context_tokens),
        temperature=DEFAULT_TEMPERATURE,
        top_p=DEFAULT_TOP_P,
        seed=new_seed(),
    )
