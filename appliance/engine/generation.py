"""One request on one context, from prompt tokens to the last event. Owner thread only.

Order: forget everything, read the prompt in chunks, then draw, show and decode one token at a time. The cancel flag is
looked at before every decode, so a client that has gone away costs one step at most. The context is cleared again at
the end, whatever happened, so that no request leaves anything to the next.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.engine.errors import DecodeError
from appliance.engine.protocol import End, Event, Failed, FinishReason, Timing, Token, Usage
from appliance.engine.text import AnswerText

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.engine.context import Context, Sampler, Sampling
    from appliance.engine.energy import DeclaredDraw


@dataclass(eq=False)
class Job:
    """An admitted request. ``emit`` may be called from the owner thread; ``cancelled`` may be set by anyone."""

    tokens: tuple[int, ...]
    sampling: Sampling
    stops: tuple[str, ...]
    max_tokens: int
    emit: Callable[[Event], None]
    queued_at: float = field(default_factory=time.monotonic)
    cancelled: threading.Event = field(default_factory=threading.Event)


class Generation:
    """Runs ``job``; ``run`` emits its tokens and returns the last event without emitting it."""

    def __init__(self, context: Context, job: Job, draw: DeclaredDraw) -> None:
        self._context = context
        self._job = job
        self._draw = draw
        self._text = AnswerText(job.stops)
        self._drawn = 0
        self._started = time.monotonic()
        self._first: float | None = None

    def run(self) -> End | Failed:
        """Never raises ``DecodeError``: a step that failed ends this request only."""
        try:
            reason = self._answer()
        except DecodeError as error:
            return Failed("decode_failed", error.cause)
        finally:
            self._context.clear()
        self._emit(self._text.finish())
        return self._end(reason)

    def _answer(self) -> FinishReason:
        self._context.clear()
        if not self._read_prompt():
            return "cancelled"
        sampler = self._context.sampler(self._job.sampling)
        try:
            return self._draw_tokens(sampler)
        finally:
            sampler.close()

    def _read_prompt(self) -> bool:
        tokens, step = self._job.tokens, self._context.chunk_tokens
        for start in range(0, len(tokens), step):
            if self._job.cancelled.is_set():
                return False
            self._context.decode(tokens[start : start + step], start)
        return True

    def _draw_tokens(self, sampler: Sampler) -> FinishReason:
        room = min(self._job.max_tokens, self._context.context_tokens - len(self._job.tokens))
        while not self._job.cancelled.is_set():
            token = sampler.sample()
            self._first = self._first or time.monotonic()
            if self._context.is_end(token):
                return "stop"
            self._drawn += 1
            self._emit(self._text.push(self._context.piece(token)))
            if self._text.stopped:
                return "stop"
            if self._drawn >= room:
                return "length"
            self._context.decode((token,), len(self._job.tokens) + self._drawn - 1)
        return "cancelled"

    def _emit(self, text: str) -> None:
        if text:
            self._job.emit(Token(text))

    def _end(self, reason: FinishReason) -> End:
        now = time.monotonic()
        first = self._first or now
        return End(
            finish_reason=reason,
            usage=Usage(prompt_tokens=len(self._job.tokens), cached_tokens=0, completion_tokens=self._drawn),
            timing=Timing(
                queue_ms=_ms(self._started - self._job.queued_at),
                first_token_ms=_ms(first - self._started),
                decode_ms=_ms(now - first),
            ),
            energy=self._draw.over(now - self._started),
        )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
