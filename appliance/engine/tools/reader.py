"""From an answer's text to what is said and what is called. Pure.

A call is told of once it is whole. Text that may still become a mark is held back. A call ends where its JSON does, for
one of its texts may hold the closing mark too; one that the answer's end cuts off is none. Whatever a call holds, each
of its characters is looked at once: the reader runs where everybody's answers are told.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from appliance.engine.protocol import End, Token, ToolCall
from appliance.engine.tools.call_text import ObjectEnd, name_and_arguments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliance.engine.protocol import Event
    from appliance.engine.tools.families import Family

_ID_BYTES = 12


class CallReader:
    """Reads one answer. ``called`` counts the calls so far."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._held = ""  # text that may become a mark
        self._parts: list[str] = []  # a call so far, or blanks before one
        self._end: ObjectEnd | None = None  # of the call that is being read
        self._after: str | None = None  # what has come after a call's JSON, which must be its closing mark
        self._text: bool | None = None  # whether a bare answer is text or a call; None: it has not begun
        self.called = 0

    def push(self, text: str) -> Iterator[str | ToolCall]:
        """What can be told after ``text``: pieces of text and calls, in order."""
        yield from self._bare(text) if not self._family.opening else self._tagged(text)

    def finish(self) -> Iterator[str | ToolCall]:
        """What was held back, when no more text comes."""
        held, self._held = self._held, ""
        if not self._family.opening:
            text = "".join(self._parts)
            if (call := self._read(text)) is not None:
                yield call
            elif text:
                yield text
        elif self._end is None and self._after is None:
            yield from self._said(held)

    def _bare(self, text: str) -> Iterator[str]:
        if self._text:
            yield text
            return
        self._parts.append(text)
        if self._text is None and (shown := text.lstrip()):
            self._text = not shown.startswith("{")
            if self._text:
                yield "".join(self._parts)
                self._parts.clear()

    def _tagged(self, text: str) -> Iterator[str | ToolCall]:
        rest: str | None = text
        while rest is not None:
            if self._end is not None:
                rest = self._inside(rest)
            elif self._after is not None:
                rest = self._closing(rest)
                if rest is not None and (call := self._taken()) is not None:
                    yield call
            else:
                before, rest = self._opening(rest)
                yield from self._said(before)

    def _opening(self, text: str) -> tuple[str, str | None]:
        """What is said before a call, and what comes after its mark; None: there is no mark yet."""
        self._held += text
        before, found, after = self._held.partition(self._family.opening)
        if found:
            self._held, self._end = "", ObjectEnd()
            return before, after
        keep = len(self._held) - _overlap(self._held, self._family.opening)
        said, self._held = self._held[:keep], self._held[keep:]
        return said, None

    def _inside(self, text: str) -> str | None:
        """Read on in a call; what comes after its JSON, or None: it goes on."""
        assert self._end is not None
        end = self._end.push(text)
        self._parts.append(text if end is None else text[:end])
        if end is None:
            return None
        self._end, self._after = None, ""
        return text[end:]

    def _closing(self, text: str) -> str | None:
        """What comes after the closing mark, or None: it is not there yet, or will never be."""
        assert self._after is not None
        mark = self._family.closing
        seen = (self._after + text).lstrip()
        if seen.startswith(mark):
            self._after = None
            return seen[len(mark) :]
        self._after = seen[: len(mark)]  # more never matters: what is no mark now becomes none
        return None

    def _taken(self) -> ToolCall | None:
        text = "".join(self._parts)
        self._parts.clear()
        return self._read(text)

    def _said(self, text: str) -> Iterator[str]:
        """Text; blanks between two calls are none."""
        if text and not (self.called and not text.strip()):
            yield text

    def _read(self, text: str) -> ToolCall | None:
        found = name_and_arguments(text, self._family.arguments)
        if found is None:
            return None
        self.called += 1
        return ToolCall(f"call_{secrets.token_hex(_ID_BYTES)}", *found)


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
