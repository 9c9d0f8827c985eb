"""From token bytes to text that may be shown: whole characters only, nothing from a stop string on.

Both parts hold back what is not yet decided. A character whose bytes are incomplete and a tail that may still become
a stop string are released, or dropped, by what comes next.
"""

from __future__ import annotations

import codecs


class StopMatcher:
    """Passes text through up to the first of ``stops`` to be complete (the stop string is not part of the answer).

    Of those that the same character completes it is the longest: so it does not matter in which pieces text comes.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        if any(not stop for stop in stops):
            raise ValueError("a stop string is not empty")
        self._stops = stops
        self._held = ""
        self.stopped = False

    def push(self, text: str) -> str:
        """Text that is now certain to belong to the answer; empty once ``stopped``."""
        if self.stopped:
            return ""
        pending = self._held + text
        ends = [(at + len(stop), at) for stop in self._stops if (at := pending.find(stop)) >= 0]
        if ends:
            self.stopped, self._held = True, ""
            return pending[: min(ends)[1]]
        keep = max((_overlap(pending, stop) for stop in self._stops), default=0)
        self._held = pending[len(pending) - keep :]
        return pending[: len(pending) - keep]

    def finish(self) -> str:
        """What was held back although no stop string came."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of ``text`` that begins ``stop`` (shorter than the whole of it)."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0


class AnswerText:
    """Turns the bytes of one answer's tokens into text, with its stop strings.

    Bytes that are no UTF-8 become U+FFFD; a sequence that the answer's end cuts off is dropped. ``characters`` counts
    those that are complete, shown or not.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self.characters = 0
        self._matcher = StopMatcher(stops)

    @property
    def stopped(self) -> bool:
        """Whether a stop string was met."""
        return self._matcher.stopped

    def push(self, piece: bytes) -> str:
        """Text that may be shown after one more token."""
        text = self._decoder.decode(piece)
        self.characters += len(text)
        return self._matcher.push(text)

    def finish(self) -> str:
        """The rest of the text when no more tokens come."""
        return self._matcher.finish()
