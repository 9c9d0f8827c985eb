"""One answer as it grows: tokens, text, sampler, meter. It outlives a preemption; cells do not. Owner thread only."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from appliance.engine.metering import Meter
from appliance.engine.protocol import End, FinishReason, Token
from appliance.engine.text import AnswerText

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliance.engine.context import Context, Sampler
    from appliance.engine.energy import Draw
    from appliance.engine.job import Job
    from appliance.engine.protocol import TokenLogprob


class Answering:
    """``tokens`` is the prompt and what was drawn; the last one drawn is decoded in the next step.

    ``saved`` is a copy of the cells of the first ``saved_tokens`` of them, when they were taken away.
    """

    def __init__(self, context: Context, job: Job, draw: Draw) -> None:
        self._context = context
        self._job = job
        self._text = AnswerText(job.stops)
        self._sampler: Sampler | None = None
        self._room = min(job.max_tokens, context.context_tokens - len(job.tokens))
        self.tokens = list(job.tokens)
        self.meter = Meter(job.queued_at, len(job.tokens), draw)
        self.saved: bytearray | None = None
        self.saved_tokens = 0
        self._shown = 0
        self._unshown: deque[tuple[int, TokenLogprob]] = deque()

    @property
    def drawn(self) -> int:
        """Tokens of the answer so far."""
        return len(self.tokens) - len(self._job.tokens)

    @property
    def room(self) -> int:
        """Tokens that the answer may still get."""
        return self._room - self.drawn

    def draw(self, row: int) -> FinishReason | None:
        """Draw the next token from the logits at ``row``; why the answer ends with it, if it does.

        Raises ``DecodeError``.
        """
        if self._sampler is None:
            self._sampler = self._context.sampler(self._job.sampling)
        token = self._sampler.sample(row)
        now = time.monotonic()
        self.meter.seen(now)
        if self._context.is_end(token):
            return "stop"
        self.tokens.append(token)
        self.meter.token(now)
        if self._job.top_logprobs is not None:
            found = self._context.logprob(row, token, self._job.top_logprobs)
            self._unshown.append((self._text.characters, found))
        self._show(self._text.push(self._context.piece(token)))
        if self._text.stopped:
            return "stop"
        return "length" if self.room <= 0 else None

    def finish(self, reason: FinishReason) -> End:
        """Show what was held back; the last event, which is not emitted here."""
        self._show(self._text.finish())
        return self.meter.end(reason)

    def close(self) -> None:
        """Free the sampler; safe to call twice."""
        if self._sampler is not None:
            self._sampler.close()
            self._sampler = None
        self.saved = None

    def _show(self, text: str) -> None:
        if text:
            self._shown += len(text)
            self._job.emit(Token(text, tuple(self._of_shown())))

    def _of_shown(self) -> Iterator[TokenLogprob]:
        """Of the tokens whose first character has been shown now; those of a stop string never are."""
        while self._unshown and self._unshown[0][0] < self._shown:
            yield self._unshown.popleft()[1]
