"""Decodes that are given up while they are computed, as an engine's are for who comes new."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from appliance.engine.context import Context, Piece


def given_up_within(
    context: Context, seconds: float, decode: Callable[[Sequence[Piece]], list[int]], pieces: Sequence[Piece]
) -> list[int]:
    """``decode(pieces)``, given up after ``seconds`` where it takes longer. Raises what ``decode`` raises."""
    timer = threading.Timer(seconds, context.give_up, kwargs={"wanted": True})
    timer.start()
    try:
        return decode(pieces)
    finally:
        timer.cancel()
        timer.join()
        context.give_up(wanted=False)
