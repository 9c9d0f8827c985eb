"""What one request cost: tokens, time, and its share of the energy.

Steps are shared: a step's seconds are split by rows, so a request that decodes one token beside a prompt of a hundred
pays for one row of the batch. The shares of a step add up to the step.

A token of the prompt was spared, or was computed: one that had to be computed after all, because what held it was gone
when the request went on, was not spared. Reading it again costs time and energy, and is counted there.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from appliance.engine.protocol import End, FinishReason, Scope, Spared, Tier, Timing, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from appliance.engine.energy import Cost, Draw

    _Run = tuple[int, int, tuple[Tier, Scope]]
    """Tokens of the prompt, from the first to before the second number, and where they lay."""


class Meter:
    """Counts for one request, from the queue to the end."""

    def __init__(self, queued_at: float, prompt_tokens: int, draw: Draw) -> None:
        self._queued_at = queued_at
        self._prompt_tokens = prompt_tokens
        self._draw = draw
        self._started: float | None = None
        self._first: float | None = None
        self._computed_s = 0.0
        self._joules: float | None = 0.0  # None once a step had no count
        self._spared: list[_Run] = []
        self._reached = 0
        self.completion_tokens = 0

    @property
    def cached_tokens(self) -> int:
        """Tokens of the prompt that were there already and never computed for this request."""
        return sum(last - first for first, last, _ in self._spared)

    @property
    def reached(self) -> int:
        """How much of the prompt the request has had so far, computed or spared."""
        return self._reached

    def spare(self, spared: Iterable[Spared]) -> None:
        """What follows on what was ``reached`` was there already, in this order."""
        for one in spared:
            first, self._reached = self._reached, self._reached + one.tokens
            self._spared.append((first, self._reached, (one.tier, one.scope)))

    def read(self, first: int, last: int) -> None:
        """The tokens from ``first`` to before ``last`` were computed, of the prompt or of the answer."""
        if first < self._reached:
            parts = [part for run in self._spared for part in _beside(run, first, last)]
            self._spared = [(start, end, where) for start, end, where in parts if start < end]
        self._reached = max(self._reached, min(last, self._prompt_tokens))

    def started(self, now: float) -> None:
        """Work begins. Later calls change nothing."""
        self._started = self._started or now

    def step(self, cost: Cost, rows: int, all_rows: int) -> None:
        """A step had ``rows`` rows of this request among ``all_rows``. One that was not counted leaves an estimate."""
        self._computed_s += cost.seconds * rows / all_rows
        if self._joules is not None:
            self._joules = None if cost.joules is None else self._joules + cost.joules * rows / all_rows

    def token(self, now: float) -> None:
        """One more token of the answer."""
        self._first = self._first or now
        self.completion_tokens += 1

    def seen(self, now: float) -> None:
        """The first draw, also where it ends the answer."""
        self._first = self._first or now

    def end(self, reason: FinishReason) -> End:
        """The last event."""
        now = time.monotonic()
        started = self._started or now
        first = self._first or now
        spared: Counter[tuple[Tier, Scope]] = Counter()
        for start, stop, where in self._spared:
            spared[where] += stop - start
        return End(
            finish_reason=reason,
            usage=Usage(self._prompt_tokens, self.cached_tokens, self.completion_tokens),
            timing=Timing(
                queue_ms=_ms(started - self._queued_at),
                first_token_ms=_ms(first - started),
                decode_ms=_ms(now - first),
            ),
            energy=self._draw.over(self._computed_s, self._joules, now - started),
            spared=tuple(Spared(*where, tokens) for where, tokens in sorted(spared.items())),
        )


def _beside(run: _Run, first: int, last: int) -> tuple[_Run, _Run]:
    """What of ``run`` lies before ``first``, and from ``last`` on; either may be empty."""
    start, end, where = run
    return (start, min(end, first), where), (max(start, last), end, where)


def _ms(seconds: float) -> float:
    return round(max(0.0, seconds) * 1000, 3)
