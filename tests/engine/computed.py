"""Which tokens of each prompt were really computed for it, by the rows that the context was given."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.context import Piece
    from appliance.engine.job import Job
    from tests.engine.batches import Asked, Desk


class Computed:
    """Looks at every decode of ``desk`` that comes to an end, from now on: how often each position was computed."""

    def __init__(self, desk: Desk) -> None:
        self._of: defaultdict[Job, Counter[int]] = defaultdict(Counter)
        inner = desk.context.decode

        def decode(pieces: Sequence[Piece]) -> list[int]:
            rows = inner(pieces)
            jobs = {resident.pair: resident.job for resident in desk.batcher._residents}
            for piece, job in [(piece, jobs[piece.sequences]) for piece in pieces if piece.sequences in jobs]:
                upto = min(piece.position + len(piece.tokens), len(job.tokens))
                self._of[job].update(range(piece.position, upto))
            return rows

        desk.context.decode = decode  # type: ignore[method-assign]  # of this one context: what it computes is noted

    def tokens(self, asked: Asked) -> int:
        """Tokens of its prompt that were computed for it, each counted once."""
        return len(self._of[asked.job])

    @property
    def again(self) -> int:
        """Rows in which a token of a prompt was computed that had been computed for this prompt before."""
        return sum(count - 1 for counts in self._of.values() for count in counts.values())
