"""A request that is being computed: where its cells are, and how far it has come."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.engine.context import Piece

if TYPE_CHECKING:
    from appliance.engine.answering import Answering
    from appliance.engine.cell_store import Pair
    from appliance.engine.job import Job
    from appliance.engine.prefix_values import Flight, Reading


@dataclass(eq=False)
class Resident:
    """``filled`` of the answering's tokens have cells; ``flight`` is what it waits for before it reads any."""

    job: Job
    answering: Answering
    pair: Pair
    filled: int = 0
    flight: Flight | None = None
    readings: list[Reading] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)

    @property
    def pending(self) -> int:
        """Tokens that can be decoded now."""
        return 0 if self.flight else len(self.answering.tokens) - self.filled

    @property
    def decoding(self) -> bool:
        """Whether it draws after its next token."""
        return self.answering.drawn > 0 and self.pending == 1

    @property
    def soon(self) -> int:
        """Tokens that have cells, those included that it waits for."""
        return max(self.filled, self.flight.length if self.flight else 0)

    def piece(self, count: int) -> Piece:
        """Its next ``count`` tokens."""
        upto = self.filled + count
        tokens = self.answering.tokens
        return Piece(tuple(tokens[self.filled : upto]), self.filled, self.pair, sampled=upto == len(tokens))
