"""Which texts the next batch is made of. Pure.

Requests take turns with one text each; whoever calls lets another one begin each time. A text is computed whole: one
that does not fit into what is left waits for a batch that its request begins, which it always fits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def packed(lines: Sequence[Sequence[int]], *, tokens: int, texts: int) -> list[int]:
    """How many texts from the front of each line are taken; ``lines`` hold the lengths of what is left of each.

    At most ``texts`` and ``tokens`` together. The first of the first line is taken, where it has any.
    """
    taken = [0] * len(lines)
    room, left = tokens, texts
    while left:
        before = left
        for number, line in enumerate(lines):
            if left and taken[number] < len(line) and line[taken[number]] <= room:
                room, left = room - line[taken[number]], left - 1
                taken[number] += 1
        if left == before:
            break
    return taken
