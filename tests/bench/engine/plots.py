"""One sheet of plots: a figure of every load, a group for each round, a column for each contender."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tests.bench.engine.contenders import OURS, PEER
from tests.bench.plot import HEIGHT, WIDTH, grouped

if TYPE_CHECKING:
    from tests.bench.engine.rounds import Measured

SHOWN = (
    ("one_stream", "tok_s", "One stream: decode", "tok/s"),
    ("one_stream", "first_s", "One stream: time to first token", "s"),
    ("distinct", "tok_s", "Many clients, distinct prompts", "tok/s"),
    ("shared", "tok_s", "Many clients, one long prefix, cold", "tok/s"),
    ("warm", "tok_s", "Many clients, one long prefix, warm", "tok/s"),
    ("groups", "tok_s", "Users in four groups, within the promise", "tok/s"),
    ("fairness", "busy_s", "A light user's first token beside a heavy one", "s"),
)


def sheet(measured: Measured) -> str:
    """The plots of what was measured, below one another."""
    found = [
        grouped(
            title,
            unit,
            {
                who: [value if math.isfinite(value) else 0.0 for value in measured.column(load, who, figure)]
                for who in (OURS, PEER)
            },
        )
        for load, figure, title, unit in SHOWN
        if load in measured.figures
    ]
    placed = "".join(
        plot.replace("<svg ", f'<svg y="{number * HEIGHT}" width="{WIDTH}" height="{HEIGHT}" ', 1)
        for number, plot in enumerate(found)
    )
    size = f'viewBox="0 0 {WIDTH} {HEIGHT * max(1, len(found))}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{placed}</svg>\n'
