"""An answer cut into what it claims: a sentence each, with the markers that stand by it. Pure.

A marker is a number in square brackets, or several: ``[1]``, ``[1, 3]``. It belongs to the sentence that it stands in;
at the beginning of a sentence, to the one before it in the same line, since people put markers behind the full stop.
``[1](…)`` is a link and no marker, and what stands in code is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.memory.sentences import sentences
from appliance.memory.wording import figures, terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_CLAIMS = 400
"""Sentences of an answer that are looked at; none of the models served here writes as many."""
MARKER = re.compile(r"\[ ?(\d{1,4}(?: ?[,;] ?\d{1,4}){0,15}) ?\](?!\()")
_MARKED = re.compile(rf"`[^`\n]*`|{MARKER.pattern}")
"""Code, or a marker, which has a group."""
_LEADING = re.compile(rf"\s*(?:{MARKER.pattern}\s*)+")
_NUMBER = re.compile(r"\d+")
_LINE = re.compile(r"[^\n]+")
_FENCE = re.compile(r" {0,3}(?:`{3,}|~{3,})")
_RULE = re.compile(r"[ |:-]+")
_BULLET = re.compile(r"\s*(?:[-*+\u2022]|#{1,6}|>|\d{1,3}[.)])\s+")


@dataclass(frozen=True)
class Claim:
    """``[first, last)`` in characters of the answer, and the numbers that its markers name, each once."""

    first: int
    last: int
    marked: tuple[int, ...]


def claims(answer: str) -> tuple[Claim, ...]:
    """What ``answer`` states, in order.

    Left out unless they are marked: headings, sentences that ask or lead over to what follows, and those that say
    nothing of their own.
    """
    found = []
    for first, last, heading in _sentences(answer):
        said = answer[first:last]
        marked = markers(said)
        plain = unmarked(said).strip()
        states = not heading and not plain.endswith(("?", ":")) and (terms(plain) or figures(plain))
        if marked or states:
            found.append(Claim(first, last, marked))
    return tuple(found[:MAX_CLAIMS])


def markers(text: str) -> tuple[int, ...]:
    """Numbers that markers in ``text`` name, in order, each once."""
    numbers = [int(number) for one in _MARKED.finditer(text) for number in _NUMBER.findall(one[1] or "")]
    return tuple(dict.fromkeys(numbers))


def unmarked(text: str) -> str:
    """``text`` without its markers."""
    return _MARKED.sub(lambda one: one[0] if one[1] is None else "", text)


def unnumbered(answer: str, spans: Iterable[tuple[int, int]], passages: int) -> str:
    """``answer`` without the markers in claims (``spans``, in order) that name some of so many ``passages``."""

    def without(one: re.Match[str]) -> str:
        named = [int(number) for number in _NUMBER.findall(one[1] or "")]
        return "" if any(1 <= number <= passages for number in named) else one[0]

    told, at = "", 0
    for first, last in spans:
        told += answer[at:first] + _MARKED.sub(without, answer[first:last])
        at = last
    return told + answer[at:]


def _sentences(answer: str) -> Iterator[tuple[int, int, bool]]:
    """From where to where, and whether it stands in a heading. Code and the heads of tables state nothing."""
    lines = list(_LINE.finditer(answer))
    fenced = False
    for at, line in enumerate(lines):
        following = lines[at + 1][0] if at + 1 < len(lines) else ""
        fence = _FENCE.match(line[0]) is not None
        fenced ^= fence
        if fenced or fence or _is_head(line[0], following):
            continue
        bullet = _BULLET.match(line[0])
        begin = line.start() + (bullet.end() if bullet is not None else 0)
        heading = bullet is not None and "#" in bullet[0]
        for span in _of_line(answer[begin : line.end()], begin):
            yield (*_trimmed(answer, *span), heading)


def _is_head(line: str, following: str) -> bool:
    """Whether ``line`` is the head of a table, or the rule below one."""
    return "|" in line and any(_RULE.fullmatch(one) for one in (line, following) if "|" in one and "-" in one)


def _of_line(line: str, at: int) -> Iterator[tuple[int, int]]:
    """Sentences of a line; markers in front of one belong to the one before."""
    held: tuple[int, int] | None = None
    for first, last in sentences(line):
        leading = _LEADING.match(line, first, last) if held is not None else None
        start = leading.end() if leading is not None else first
        if held is not None:
            yield at + held[0], at + start
        held = (start, last) if start < last else None
    if held is not None:
        yield at + held[0], at + held[1]


def _trimmed(text: str, first: int, last: int) -> tuple[int, int]:
    said = text[first:last]
    return first + len(said) - len(said.lstrip()), last - (len(said) - len(said.rstrip()))
