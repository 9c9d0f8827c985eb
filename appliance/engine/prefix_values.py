"""What stands in the trees of beginnings: what is parked, what is read, and what a prompt gets or waits for of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.engine.cell_store import Pair
    from appliance.engine.context import Context
    from appliance.engine.job import Owner

WORTH_WAITING = 32  # tokens; a shorter gain is computed twice rather than waited for


@dataclass(eq=False)
class Holding:
    """Parked cells of ``tokens``, for the requests of ``owner``. ``used`` is the tick of the last use.

    One that is ``pinned`` makes way for nothing but what its owner wrote later. ``since`` is when it came to be here
    (``time.monotonic``). What was ``restored`` from disk was spared by the disk once: ``seen`` of it have been already.
    """

    owner: Owner
    tokens: tuple[int, ...]
    pair: Pair
    used: int
    pinned: bool = False
    restored: bool = False
    seen: int = 0
    since: float = field(default_factory=time.monotonic)

    @property
    def done(self) -> int:
        """Tokens that are there."""
        return len(self.tokens)


@dataclass(eq=False)
class Reading:
    """A passage that a request computes: ``done`` of its ``tokens`` are there so far."""

    owner: Owner
    tokens: tuple[int, ...]
    pair: Pair
    rank: int
    done: int = 0
    gone: bool = False


@dataclass(frozen=True)
class Credit:
    """The first ``length`` tokens of a prompt are there, in ``source``."""

    length: int = 0
    source: Holding | Reading | None = None


@dataclass(frozen=True)
class Flight:
    """The first ``length`` tokens of a prompt are on their way, in ``reading``."""

    length: int
    reading: Reading

    @property
    def landed(self) -> bool:
        """Whether waiting is over: they are there, or will never be."""
        return self.reading.gone or self.reading.done >= self.length


@dataclass(frozen=True)
class Pins:
    """What may be pinned: so many ``cells``, in so many ``holdings``."""

    cells: int = 0
    holdings: int = 0


def pins_in(context: Context, slots: int, tokens: int | None) -> Pins:
    """What may be pinned, at most ``tokens``: never so much that a request of full length, or one more, has no room."""
    room = min(context.cells // 2, context.cells - context.context_tokens)
    cells = room if tokens is None else min(tokens, room)
    return Pins(max(0, cells), max(0, (context.sequences // 2 - slots) // 2))
