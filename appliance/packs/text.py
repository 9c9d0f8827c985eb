"""What a pack's words may be made of. Pure.

They go to the instructions' place and nowhere else, so nothing in them may be taken for a control token of a model, by
any reader, now or after the model was changed. Models spell those in angle brackets (``<start_of_turn>``,
``<|im_end|>``, ``<s>``) or as one word in square ones (``[INST]``, ``[gMASK]``). So a pack has neither character of the
first kind, and no such word: stricter than any one model asks for, and the same answer at every site. The engine, which
knows its model's own list, spells out whatever would be left (``engine.prompt``).

Nothing that does not show is let in either: no control characters but line ends, no marks of direction or of width
zero, no byte order mark, no selectors of variants and no fillers, which carry a text that nobody sees who inspects it.
Text is in Unicode's composed form, so that equal words are equal bytes.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_SELECTORS = (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
"""Marks and letters by their category, which Unicode lets a font leave out (Default_Ignorable_Code_Point)."""
_BRACKETED = re.compile(r"\[[^\[\]\s]*\]")
_ANGLES = frozenset("<>")


def checked(text: str) -> str:
    """``text`` itself. Raises ``ValueError`` naming the first thing that a pack's words may not hold."""
    for character in text:
        if character in _ANGLES:
            raise ValueError(f"{character} is what control tokens of models are made of, and not accepted")
        if character != "\n" and _unseen(character):
            raise ValueError(f"it holds U+{ord(character):04X}, which does not show and is not accepted")
    if found := _BRACKETED.search(text):
        raise ValueError(f"{found[0][:40]} looks like a control token of a model, and is not accepted")
    if not unicodedata.is_normalized("NFC", text):
        raise ValueError("the text is not in Unicode's composed form (NFC)")
    return text


def _unseen(character: str) -> bool:
    if unicodedata.category(character) in _UNSEEN or character in _FILLERS:
        return True
    return any(ord(character) in selectors for selectors in _SELECTORS)


def _one_line(text: str) -> str:
    if "\n" in text:
        raise ValueError("one line is expected")
    return text


Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000), AfterValidator(checked)]
"""Some sentences, of several lines perhaps."""
Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=400),
    AfterValidator(checked),
    AfterValidator(_one_line),
]
"""A few words on one line."""
