"""What the next batch is made of. Pure: no clock, no context, no lock.

1. While somebody waits for words (rank interactive), work of rank batch gets no row.
2. Every request that decodes gets its one row: a stream, once it flows, flows.
3. What is left goes to prompts, by deficit round robin over *users*: in every round a user may read ``QUANTUM`` tokens
   times the weight of the group, saved up to the next round while the turn does not come (Shreedhar and Varghese,
   1995). A user's own prompts are read one after the other, so that the first answer comes early.
4. While anybody decodes, prompts get ``chunk_tokens`` rows together at most: that bounds how long a stream stalls.

A prompt that others wait for (``flights``) is read on their account too: whoever waits lends their turn.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

K = TypeVar("K", bound="Hashable")
QUANTUM = 16


@dataclass(frozen=True)
class Candidate(Generic[K]):
    """A request that has ``pending`` tokens to decode; ``decoding``: it draws after every one of them.

    ``payers``: the user whose request it is, then the users who wait for its prompt.
    """

    key: K
    pending: int
    decoding: bool
    rank: int
    payers: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Limits:
    """Rows of a batch, and rows that prompts get of it while somebody decodes."""

    batch_tokens: int
    chunk_tokens: int


class Scheduler(Generic[K]):
    """Plans batches. Remembers how much every user has saved up, and whose turn it is."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._saved: dict[str, float] = {}
        self._turns: deque[str] = deque()

    def plan(self, candidates: Sequence[Candidate[K]]) -> dict[K, int]:
        """How many tokens of which request the next batch takes; empty only when there is nothing to do."""
        first = min((c.rank for c in candidates if c.pending), default=0)
        runnable = [c for c in candidates if c.rank == first and c.pending]
        decoding = [c for c in runnable if c.decoding][: self._limits.batch_tokens]
        plan = {c.key: 1 for c in decoding}
        room = self._limits.batch_tokens - len(decoding)
        if decoding:
            room = min(room, self._limits.chunk_tokens)
        self._read([c for c in runnable if not c.decoding], room, plan)
        return plan

    def _read(self, prompts: list[Candidate[K]], room: int, plan: dict[K, int]) -> None:
        lines, weights = _lines(prompts)
        self._attend(lines)
        left = {c.key: c.pending for c in prompts}
        while room > 0 and self._turns:
            user = self._turns[0]
            line = lines[user]
            while line and not left[line[0]]:
                line.popleft()
            if not line:
                self._turns.popleft()
                del self._saved[user]
                continue
            self._saved[user] += QUANTUM * weights[user]
            count = min(int(self._saved[user]), left[line[0]], room)
            if count:
                plan[line[0]] = plan.get(line[0], 0) + count
                left[line[0]] -= count
                room -= count
                self._saved[user] -= count
            self._turns.rotate(-1)

    def _attend(self, lines: dict[str, deque[K]]) -> None:
        """Users who read nothing now lose what they saved; new ones come last."""
        self._turns = deque(user for user in self._turns if user in lines)
        self._saved = {user: self._saved[user] for user in self._turns}
        for user in lines:
            if user not in self._saved:
                self._turns.append(user)
                self._saved[user] = 0.0


def _lines(prompts: Sequence[Candidate[K]]) -> tuple[dict[str, deque[K]], dict[str, float]]:
    """Every payer's prompts in order of arrival, and every payer's weight."""
    lines: dict[str, deque[K]] = {}
    weights: dict[str, float] = {}
    for candidate in prompts:
        for user, weight in candidate.payers:
            lines.setdefault(user, deque()).append(candidate.key)
            weights[user] = weight
    return lines, weights
