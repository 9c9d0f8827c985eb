"""Where sentences end, in English, French and German. Pure; where it errs, a passage is cut at a less happy place.

A mark ends a sentence where a blank and something that begins one follow, unless the word before it is an abbreviation.
Strangers' texts are cut here: no character is looked at more than a fixed number of times. Runs are taken whole or not
at all (``++``), and a run of marks is tried at its first mark only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'\u201d\u2019»)\]]*+\s++(?=[\"'\u201c\u201e«(\[]*+\w)")
_BEFORE = 40
"""Characters in front of a mark that are looked at: no abbreviation is longer."""
_ABBREVIATIONS = frozenset(
    [
        "e.g",
        "i.e",
        "etc",
        "vs",
        "cf",
        "al",
        "fig",
        "no",
        "nos",
        "vol",
        "pp",
        "p",
        "dr",
        "mr",
        "mrs",
        "ms",
        "prof",
        "st",
        "inc",
        "ltd",
        "approx",
        "dept",
        "z.b",
        "d.h",
        "u.a",
        "bzw",
        "ca",
        "ggf",
        "evtl",
        "usw",
        "nr",
        "abs",
        "art",
        "bd",
        "hrsg",
        "vgl",
        "inkl",
        "zzgl",
        "str",
        "s",
        "sog",
        "u",
        "z",
        "d",
        "h",
        "b",
        "a",
        "p.ex",
        "c.-à-d",
        "m",
        "mm",
        "mme",
        "mlle",
        "env",
        "éd",
        "chap",
        "réf",
        "tél",
        "n",
    ]
)


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Spans ``[start, end)`` of the sentences of ``text``, one behind the other, that cover all of it."""
    start = 0
    for mark in _END.finditer(text):
        before = text[max(start, mark.start() - _BEFORE) : mark.start()].rsplit(None, 1)
        following = text[mark.end() : mark.end() + 1]
        if mark[0][0] == "." and before and _no_end(before[-1], following):
            continue
        yield start, mark.end()
        start = mark.end()
    if start < len(text):
        yield start, len(text)


def _no_end(word: str, following: str) -> bool:
    bare = word.lstrip("\"'“„«([").lower()
    return bare in _ABBREVIATIONS or following.islower() or (bare.isdigit() and len(bare) <= 2)  # noqa: PLR2004 - "am 3. Mai"
