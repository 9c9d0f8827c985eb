"""Somebody who keeps asking while hosts change under the assistant: how often it failed, and for how long at once."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from tests.e2e.two_hosts.administrator import Desk

PEOPLE = ("people", "analyst", "a-Passphrase-of-the-analyst-1", "analysts")
ASK = ("ask", "analyst", "a-Passphrase-of-the-analyst-1", "Which city is the capital of France?")
_REST_SECONDS = 2.0


@dataclass
class Asking:
    """A thread of its own. ``gap`` is the longest time, in seconds, from one answer to the next."""

    desk: Desk
    answered: int = 0
    failed: int = 0
    gap: float = 0.0
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        assert self._thread is not None
        self._thread.join()

    @property
    def told(self) -> str:
        """What came of it, in words."""
        return f"answered {self.answered}, failed {self.failed}, longest gap {self.gap:.0f} s"

    def _ask(self) -> None:
        last = time.monotonic()
        while not self._ended.is_set():
            try:
                assert self.desk.visit(*ASK)["text"].strip()
            except AssertionError:
                self.failed += 1
            else:
                self.answered += 1
                self.gap, last = max(self.gap, time.monotonic() - last), time.monotonic()
            self._ended.wait(_REST_SECONDS)
        self.gap = max(self.gap, time.monotonic() - last)
