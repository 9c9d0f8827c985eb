"""Which instances of the gateway are alive: those with a connection to the writer, and for a while those without.

The kernel closes a connection with its process, so nothing is left of a gateway that was killed; one that lives comes
back within ``grace`` seconds when its connection broke, or when the writer was started anew.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

GRACE_SECONDS = 5.0


class Sessions:
    """For one event loop. ``clock`` counts seconds and never runs backwards."""

    def __init__(self, grace: float = GRACE_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self.grace = grace
        self._clock = clock
        self._began = clock()
        self._connections: Counter[str] = Counter()
        self._ended: dict[str, float] = {}

    @property
    def count(self) -> int:
        """How many instances are connected."""
        return len(self._connections)

    def begin(self, instance: str) -> None:
        """``instance`` opened a connection."""
        self._connections[instance] += 1

    def end(self, instance: str) -> None:
        """A connection of ``instance`` was closed."""
        self._connections[instance] -= 1
        if not self._connections[instance]:
            del self._connections[instance]
            now = self._clock()
            self._ended = {one: at for one, at in self._ended.items() if now - at < self.grace}
            self._ended[instance] = now

    def gone(self, instance: str) -> bool:
        """Whether ``instance`` has had no connection for ``grace`` seconds, of those that this writer has run."""
        since = self._ended.get(instance, self._began)
        return instance not in self._connections and self._clock() - since >= self.grace
