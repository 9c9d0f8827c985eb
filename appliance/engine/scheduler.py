"""What the next batch is made of. Pure: no clock, no context, no lock.

1. While somebody waits for words (rank interactive), work of rank batch gets no row.
2. Every request that decodes gets its one row: a stream, once it flows, flows.
3. What is left goes to prompts, by deficit round robin over *users*: in every round a user may read ``QUANTUM`` tokens
   times the weight of the group, saved up to the next round while the turn does not come (Shreedhar and Varghese,
   1995). A user's own prompts are read one after the other, so that the first answer comes early.
4. Who had nothing to read comes first and may begin with ``ADVANCE`` tokens, so that a short question is read whole at
   once. They are lent: what a user has not yet made good, while others read, is missing from the next advance.
5. While anybody decodes, prompts get ``chunk_tokens`` rows together at most: that bounds how long a stream stalls.
6. Streams that have ``apart_tokens`` or more behind them together get batches of their own, turn about with prompts: a
   row whose neighbours belong to other requests attends to the cells of all of them (ggml's tiles), which costs more
   than a batch does.
7. Beside such streams, or beside somebody who has ``LONG`` tokens to read, who comes new does not wait for a turn: what
   they may begin with is the next batch, by itself, once between two batches of the others. For them a batch that has
   begun may be given up (``gives_way``).

A prompt that others wait for (``flights``) is read on their account too: whoever waits lends their turn.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

K = TypeVar("K", bound="Hashable")
_Books = tuple[dict[str, float], deque[str], dict[str, float], defaultdict[str, float], tuple[bool, bool]]
QUANTUM = 16
ADVANCE = 128
"""Tokens: about the longest question that is typed by hand."""
LONG = 512
"""Tokens: whole batches of them, and more than a question with what was said before."""


@dataclass(frozen=True)
class Candidate(Generic[K]):
    """A request that has ``pending`` tokens to decode; ``decoding``: it draws after every one of them.

    ``behind``: how many were decoded before. ``payers``: the user whose request it is, then the users who wait for its
    prompt.
    """

    key: K
    pending: int
    decoding: bool
    rank: int
    payers: tuple[tuple[str, float], ...]
    behind: int = 0


@dataclass(frozen=True)
class Limits:
    """Rows of a batch, and rows that prompts get of it while somebody decodes.

    ``apart_tokens``: from how many tokens behind them streams get batches of their own; None: never.
    """

    batch_tokens: int
    chunk_tokens: int
    apart_tokens: int | None = None


class Scheduler(Generic[K]):
    """Plans batches. Remembers how much every user has saved up, and whose turn it is.

    ``gives_way``: whoever comes new while the last plan is computed would begin next.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.gives_way = False
        self._saved: dict[str, float] = {}
        self._turns: deque[str] = deque()
        self._unused: dict[str, float] = {}
        self._lent: defaultdict[str, float] = defaultdict(float)
        self._streamed = self._begun = False
        self._before = self._books()

    def plan(self, candidates: Sequence[Candidate[K]]) -> dict[K, int]:
        """How many tokens of which request the next batch takes; empty only when there is nothing to do."""
        self._before = self._books()
        first = min((c.rank for c in candidates if c.pending), default=0)
        runnable = [c for c in candidates if c.rank == first and c.pending]
        decoding = [c for c in runnable if c.decoding][: self._limits.batch_tokens]
        prompts = [c for c in runnable if not c.decoding]
        room = self._limits.batch_tokens - len(decoding)
        if decoding:
            room = min(room, self._limits.chunk_tokens)
        plan = {c.key: 1 for c in decoding}
        lines, weights = _lines(prompts)
        self._attend(lines)
        left = {c.key: c.pending for c in prompts}
        apart = self._apart(decoding)
        alone = min(self._limits.batch_tokens, self._limits.chunk_tokens if decoding else self._limits.batch_tokens)
        self.gives_way = (apart or self._long(lines, left)) and not (self._begun and prompts)
        if self.gives_way and (began := self._begin(lines, left, alone)):
            self._begun, self.gives_way = True, False
            return began
        if apart and prompts:
            self._streamed = not self._streamed
            if self._streamed:
                self._begun = False
                return plan
            plan, room = {}, alone
        else:
            self._begun = False
        self._read(lines, weights, left, room, plan)
        return plan

    def undo(self) -> None:
        """The last plan was not computed: nobody has read, streamed or begun by it."""
        self._saved, self._turns, self._unused, self._lent, (self._streamed, self._begun) = self._before

    def _books(self) -> _Books:
        saved, turns, unused, lent = self._saved.copy(), self._turns.copy(), self._unused.copy(), self._lent.copy()
        return saved, turns, unused, lent, (self._streamed, self._begun)

    def _apart(self, decoding: Sequence[Candidate[K]]) -> bool:
        least = self._limits.apart_tokens
        return least is not None and bool(decoding) and sum(c.behind for c in decoding) >= least

    def _long(self, lines: Mapping[str, Iterable[K]], left: Mapping[K, int]) -> bool:
        """Whether a user who did not come new has much to read."""
        if self._limits.apart_tokens is None:
            return False
        return any(sum(left[key] for key in lines[user]) >= LONG for user in self._turns if self._unused[user] < 1)

    def _begin(self, lines: Mapping[str, Iterable[K]], left: Mapping[K, int], room: int) -> dict[K, int]:
        """What users who came new may begin with, and nothing else; not made good by anybody's reading."""
        plan: dict[K, int] = {}
        for user in self._turns:
            for key in lines[user]:
                count = min(int(self._unused[user]), left[key] - plan.get(key, 0), room)
                if count:
                    plan[key] = plan.get(key, 0) + count
                    room -= count
                    self._saved[user] -= count
                    self._unused[user] -= count
        return plan

    def _read(
        self,
        lines: Mapping[str, deque[K]],
        weights: Mapping[str, float],
        left: dict[K, int],
        room: int,
        plan: dict[K, int],
    ) -> None:
        before = room
        while room > 0 and self._turns:
            user = self._turns[0]
            line = lines[user]
            while line and not left[line[0]]:
                line.popleft()
            if not line:
                self._turns.popleft()
                self._leave(user)
                continue
            self._saved[user] += QUANTUM * weights[user]
            count = min(int(self._saved[user]), left[line[0]], room)
            if count:
                plan[line[0]] = plan.get(line[0], 0) + count
                left[line[0]] -= count
                room -= count
                self._saved[user] -= count
                self._unused[user] = max(0.0, self._unused[user] - count)
            self._turns.rotate(-1)
        self._make_good((before - room) / (len(lines) + 1), lines)

    def _attend(self, lines: Mapping[str, deque[K]]) -> None:
        """Users who read nothing now lose what they saved; new ones come first, if a turn of advance is left."""
        for user in [user for user in self._turns if user not in lines]:
            self._turns.remove(user)
            self._leave(user)
        new = [user for user in lines if user not in self._saved]
        for user in new:
            self._saved[user] = self._unused[user] = max(0.0, ADVANCE - self._lent[user])
            self._lent[user] = ADVANCE
        self._turns.extendleft(user for user in reversed(new) if self._unused[user] >= QUANTUM)
        self._turns.extend(user for user in new if self._unused[user] < QUANTUM)

    def _leave(self, user: str) -> None:
        """What was not used of an advance is not owed."""
        del self._saved[user]
        self._lent[user] -= min(self._lent[user], self._unused.pop(user))

    def _make_good(self, share: float, lines: Mapping[str, object]) -> None:
        """``share``: what one more user could have read of this batch. Who reads here has a share of their own."""
        there = {user: lent for user, lent in self._lent.items() if user in lines}
        gone = {user: lent - share for user, lent in self._lent.items() if user not in lines and lent > share}
        self._lent = defaultdict(float, there | gone)


def _lines(prompts: Sequence[Candidate[K]]) -> tuple[dict[str, deque[K]], dict[str, float]]:
    """Every payer's prompts in order of arrival, and every payer's weight."""
    lines: dict[str, deque[K]] = {}
    weights: dict[str, float] = {}
    for candidate in prompts:
        for user, weight in candidate.payers:
            lines.setdefault(user, deque()).append(candidate.key)
            weights[user] = weight
    return lines, weights
