"""What in a text must not leave a site: it is flagged, never rewritten; a person edits the text, or drops it. Pure.

A mask in the middle of a question makes another question. So nothing is masked: a text with a finding stays until
somebody has put it into other words. Patterns (``forms``) and lists know what is written in a known form. A person's
plain name is found behind a title or a role, as two words with capitals inside a sentence (``untitled``), and where the
site's accounts have it; any other passes: that is why persons read a draft before they sign it.

Texts are looked through in a plain form: compatibility forms of Unicode count as the plain ones (NFKC), and what is
not shown is taken out. Names are compared without case, without marks and with *ae* for *ä*, word by word, whatever
stands between the words. A word of letters of two scripts is flagged, as it looks like another word.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from appliance.learning.exchange.forms import Form, found
from appliance.learning.exchange.untitled import untitled
from appliance.memory.parsing.blocks import cleaned

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

What = Literal["unseen", "mixed", "host", "account", "group"] | Form
LEAST_NAME = 3
"""Characters of a name that is looked for: shorter ones are in every second text."""
_MARKS = "\u0300-\u036f"
_WORD = re.compile(rf"(?:[^\W_][{_MARKS}]*)+")
_JOINERS = "\u200c\u200d"
_GAP = 3
"""Characters between two words of one name, at most."""
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "æ": "ae"})
_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Scripts that are written without blanks between words."""


@dataclass(frozen=True)
class Finding:
    """Why a text is held back, and where it stands: ``[start, end)`` in the text's plain form, 0 to 0 for all of it."""

    what: What
    start: int = 0
    end: int = 0


class Redactor:
    """Looks for what a site knows by value, and for what has a known form.

    ``hosts``, ``accounts`` and ``groups`` are the site's own names; whatever their case, and whole words only.
    ``terms`` are what it calls things: two words with capitals that are one of them are no person's name. That excuses
    no account, no host and no group.
    """

    def __init__(
        self,
        hosts: Iterable[str] = (),
        accounts: Iterable[str] = (),
        groups: Iterable[str] = (),
        terms: Iterable[str] = (),
    ) -> None:
        self._terms = frozenset(" ".join(plain(term).casefold().split()) for term in terms)
        given: tuple[tuple[What, Iterable[str]], ...] = (("host", hosts), ("account", accounts), ("group", groups))
        self._known: dict[str, dict[tuple[str, ...], What]] = {}
        self._unspaced: dict[str, What] = {}
        for what, names in given:
            for name in names:
                self._learn(what, plain(name))

    def _learn(self, what: What, name: str) -> None:
        if _UNSPACED.search(name) and len(name) > 1:
            self._unspaced.setdefault(name.casefold(), what)
        for folded in {_folded(name), _folded(name.casefold().translate(_UMLAUTS))}:
            words = tuple(_WORD.findall(folded))
            if words and len(folded) >= LEAST_NAME:
                self._known.setdefault(words[0], {}).setdefault(words, what)

    def findings(self, text: str) -> tuple[Finding, ...]:
        """What holds ``text`` back, in the order of the text."""
        unseen = (Finding("unseen"),) if hides(text) else ()
        seen = plain(text)
        formed = (Finding(what, start, end) for what, start, end in found(seen))
        names = (Finding("name", start, end) for start, end in untitled(seen, self._terms))
        all_of_it = {*formed, *names, *self._names(seen), *_mixed(seen)}
        return (*unseen, *sorted(all_of_it, key=lambda one: (one.start, one.end, one.what)))

    def _names(self, text: str) -> Iterator[Finding]:
        words = [(_folded(match.group()), *match.span()) for match in _WORD.finditer(text)]
        for index, (first, start, _) in enumerate(words):
            for name, what in self._known.get(first, {}).items():
                here = words[index : index + len(name)]
                near = all(other[1] - one[2] <= _GAP for one, other in pairwise(here))
                if near and tuple(word for word, _, _ in here) == name:
                    yield Finding(what, start, here[-1][2])
        folded = text.casefold()
        for part, what in self._unspaced.items():
            if (at := folded.find(part)) >= 0:
                yield Finding(what, at, at + len(part))


def plain(text: str) -> str:
    """The form that a text is looked through in."""
    normal = unicodedata.normalize("NFKC", text.replace("\u2019", "'"))
    return "".join(one for one in normal if unicodedata.category(one) != "Cf")


def hides(text: str) -> bool:
    """Whether some of ``text`` is not shown, or steers how the rest is: controls, bidirectional marks, tags.

    Joiners count where they stand beside a Latin letter or a digit: no writing needs them there.
    """
    if any(unicodedata.category(one) in {"Cc", "Cs", "Co", "Cn"} and one not in "\n\t" for one in text):
        return True
    if "\u2800" in text or any(_joins_latin(text, at) for at, one in enumerate(text) if one in _JOINERS):
        return True
    return cleaned(text) != unicodedata.normalize("NFC", " ".join(text.split()))


def _joins_latin(text: str, at: int) -> bool:
    return any(one.isdigit() or _script(one) == "LATIN" for one in (text[max(at - 1, 0)], text[at + 1 : at + 2]) if one)


def _folded(text: str) -> str:
    """``text`` as names are compared: without case and marks."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in apart if not "\u0300" <= one <= "\u036f")


def _mixed(text: str) -> Iterator[Finding]:
    if text.isascii():
        return
    for match in _WORD.finditer(text):
        if not match.group().isascii() and len({_script(one) for one in match.group()} - {""}) > 1:
            yield Finding("mixed", *match.span())


def _script(character: str) -> str:
    """The script of a letter, of those whose letters look like each other's; else nothing."""
    first = unicodedata.name(character, "").partition(" ")[0]
    return first if first in _SCRIPTS else ""
