"""How many cells' worth of copies lie outside the context at once. Pure; owner thread only."""

from __future__ import annotations


class Copies:
    """At most ``limit`` tokens' cells together, as the memory budget counts them (``memory.Layout.saved_cells``)."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, tokens: int) -> bool:
        """Whether a copy of ``tokens`` may be made; it counts until it is given back."""
        if not 0 < tokens <= self._left:
            return False
        self._left -= tokens
        return True

    def give(self, tokens: int) -> None:
        """A copy of ``tokens`` is gone."""
        self._left += tokens
