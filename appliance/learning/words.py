"""Texts as words, and how near two texts are. Pure.

Near is what two texts share of their letters in threes (the Dice coefficient over character trigrams), which forgives
a typing mistake, an ending and the order of words, in every language that is written in letters.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from itertools import pairwise

from appliance.memory.language import FUNCTION_WORDS

_ASKED = (
    "a i me my we our you your he she they them there here how what when where who why whose do does did has had can "
    "could may must should would am been into about so no yes "
    "je j me mon ma mes nous notre nos votre vos on il elle y en d l qu n s c comment quoi quand où combien pourquoi "
    "puis peut peux doit dois faut quel quelle quels quelles à a ai si mais donc "
    "ich mich mir mein meine meinen wir uns unser ihr ihre sie man wie was wann wo wer warum wozu welche welcher kann "
    "darf muss soll hat habe haben bin sind war an am im zum zur ob so ja nein noch nur"
)
_ASKING = frozenset(_ASKED.split())
"""Words of questions, beside those of ``FUNCTION_WORDS``."""
_ECHO = 3
_WORD = re.compile(r"[^\W_]+")
_MARKS = " \t\r\n.,;:!?…\"'`´«»„“”‚‘’()[]{}*_-–—"  # noqa: RUF001 - quotation marks of three languages are meant


def words(text: str) -> list[str]:
    """The words of ``text`` in order, without case; compatibility forms of Unicode are one."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def telling(text: str) -> list[str]:
    """``words`` without those that every text has, and without single letters."""
    return [word for word in words(text) if len(word) > 1 and word not in FUNCTION_WORDS | _ASKING]


def plain(text: str) -> str:
    """``text`` as two people would call it the same: no case, single spaces, no marks around it."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split()).strip(_MARKS)


def holds(text: str, phrase: str) -> bool:
    """Whether the words of ``phrase`` stand in ``text`` one after the other. A phrase without words is in none."""
    sought, within = words(phrase), words(text)
    length = len(sought)
    return length > 0 and any(within[i : i + length] == sought for i in range(len(within) - length + 1))


Grams = frozenset[str]
"""The letters in threes of a text, each with how many of it came before: a multiset as a set."""
READ = 1000
"""Characters of a text that count for how near it is to another."""


def nearness(one: str, other: str) -> float:
    """0 (nothing in common) to 1 (the same words); symmetric."""
    mine, theirs = grams(one), grams(other)
    return near(mine, theirs) if mine or theirs else float(one == other)


def grams(text: str) -> Grams:
    """What ``near`` compares of ``text``: made once for each text, however many it is compared with."""
    said = f"  {' '.join(words(text[:READ]))} "
    if not said.strip():
        return frozenset()
    seen: Counter[str] = Counter()
    found = []
    for i in range(len(said) - 2):
        part = said[i : i + 3]
        found.append(f"{part}{seen[part]}")
        seen[part] += 1
    return frozenset(found)


def near(one: Grams, other: Grams) -> float:
    """``nearness`` of two texts with letters; 0 where either has none."""
    return 2 * len(one & other) / (len(one) + len(other)) if one and other else 0.0


def reach(size: int, least: float) -> float:
    """The most grams that a text may have to be ``least`` near to one that has ``size`` of them and no more."""
    return size * (2 - least) / least


def echoes(text: str, original: str) -> bool:
    """Whether a good part of either is the other's words one after the other, however long the rest is.

    A good part is half of the pairs of words of whichever is shorter, and three at least.
    """
    mine, theirs = set(pairwise(words(text))), set(pairwise(words(original)))
    shared = len(mine & theirs)
    return shared >= _ECHO and 2 * shared >= min(len(mine), len(theirs))
