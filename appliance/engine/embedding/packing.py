"""Which texts the next batch is made of. Pure.

Every request has its turn with one text after the other, so that one with a thousand texts does not hold up one with a
single. A text is computed whole: the batch ends where the next one does not fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def packed(lines: Sequence[Sequence[int]], *, tokens: int, texts: int) -> list[int]:
    """How many texts from the front of each line are taken; ``lines`` hold the lengths of what is left of each.

    At most ``texts`` and ``tokens`` together. At least one, when there is any: none is longer than a batch.
    """
    taken = [0] * len(lines)
    room, left = tokens, texts
    while left:
        before = left
        for number, line in enumerate(lines):
            if not left or taken[number] >= len(line):
                continue
            length = line[taken[number]]
            if length > room:
                return taken
            taken[number] += 1
            room, left = room - length, left - 1
        if left == before:
            break
    return taken
