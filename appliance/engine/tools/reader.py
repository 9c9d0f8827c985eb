"""From an answer's text to what is said and what is called. Pure.

A call is told of once it is whole. Text that may still become a mark is held back. A call ends with the first closing
mark before which it is whole, for one of its texts may hold that mark too; one that the answer's end cuts off is none.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from appliance.engine.protocol import End, Token, ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliance.engine.protocol import Event
    from appliance.engine.tools.families import Family

_ID_BYTES = 12


class CallReader:
    """Reads one answer. ``called`` counts the calls so far."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._held = ""
        self._inside = False
        self.called = 0

    def push(self, text: str) -> Iterator[str | ToolCall]:
        """What can be told after ``text``: pieces of text and calls, in order."""
        self._held += text
        yield from self._bare() if not self._family.opening else self._tagged()

    def finish(self) -> Iterator[str | ToolCall]:
        """What was held back, when no more text comes."""
        held, self._held = self._held, ""
        if not self._family.opening and (call := self._read(held)) is not None:
            yield call
        elif not self._inside and held and not (self.called and not held.strip()):
            yield held

    def _bare(self) -> Iterator[str]:
        if not self._inside and self._held.lstrip() and not self._held.lstrip().startswith("{"):
            yield self._held
            self._held = ""

    def _tagged(self) -> Iterator[str | ToolCall]:
        while True:
            if self._inside:
                if (call := self._whole()) is None:
                    return
                yield call
            before, found, after = self._held.partition(self._family.opening)
            if not found:
                break
            self._held, self._inside = after, True
            yield from self._said(before)
        if self._held:
            keep = _overlap(self._held, self._family.opening)
            said, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
            yield from self._said(said)

    def _whole(self) -> ToolCall | None:
        """The call at the beginning of what is held, taken from there; None where it is not whole yet."""
        at = self._held.find(self._family.closing)
        while at >= 0:
            if (call := self._read(self._held[:at])) is not None:
                self._held, self._inside = self._held[at + len(self._family.closing) :], False
                return call
            at = self._held.find(self._family.closing, at + 1)
        return None

    def _said(self, text: str) -> Iterator[str]:
        """Text; blanks between two calls are none."""
        if text and not (self.called and not text.strip()):
            yield text

    def _read(self, text: str) -> ToolCall | None:
        try:
            found = json.loads(text)
            name, arguments = found["name"], found[self._family.arguments]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        if not isinstance(name, str) or not isinstance(arguments, dict):
            return None
        self.called += 1
        return ToolCall(f"call_{secrets.token_hex(_ID_BYTES)}", name, json.dumps(arguments, ensure_ascii=False))


def told_of(event: Event, reader: CallReader) -> Iterator[Event]:
    """What an answer's event is told as; log probabilities stay with the text that their token ends in."""
    if isinstance(event, Token):
        told = list(reader.push(event.text))
        for piece in told:
            yield piece if isinstance(piece, ToolCall) else Token(piece, event.logprobs if piece is told[-1] else ())
        return
    if isinstance(event, End) and event.finish_reason == "stop":
        yield from (one if isinstance(one, ToolCall) else Token(one) for one in reader.finish())
    yield event


def _overlap(text: str, mark: str) -> int:
    """Length of the longest end of ``text`` that begins ``mark``."""
    return next((n for n in range(min(len(text), len(mark) - 1), 0, -1) if text.endswith(mark[:n])), 0)
