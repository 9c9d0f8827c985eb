"""What in a text must not leave a site: it is flagged, never rewritten; a person edits the text, or drops it. Pure.

A mask in the middle of a question makes another question. So nothing is masked: a text with a finding stays until
somebody has put it into other words. Patterns and lists know what is written in a known form. A person's plain name is
found only where the site's accounts have it: that is why persons read a draft before they sign it.

An IBAN is held against its check digits (ISO 13616, modulus 97 of ISO 7064). Compatibility forms of Unicode count as
the plain ones (NFKC), so that digits of full width are digits.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from appliance.memory.parsing.blocks import cleaned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

What = Literal["unseen", "email", "iban", "address", "link", "secret", "number", "host", "account", "group"]
LEAST_NAME = 3
"""Characters of a name that is looked for: shorter ones are in every second text."""
_EMAIL = re.compile(r"[^\s@<>()\[\],;:]{1,64}@[^\s@<>()\[\],;:]{1,253}")
_IBAN = re.compile(r"(?<![^\W_])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}", re.IGNORECASE)
_LINK = re.compile(r"[a-z][a-z0-9+.-]{1,20}://|\bwww\.", re.IGNORECASE)
_V4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d]|\.\d)")
_V6 = re.compile(r"(?<![\w:])[0-9a-f:]{2,39}(?:\d{1,3}(?:\.\d{1,3}){3})?(?![\w:])", re.IGNORECASE)
_DIGITS = re.compile(r"\+?\d(?:[ ./()-]{0,2}\d){6,}")
_DATE = re.compile(r"(?:\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{4})")
_SECRET = (
    re.compile(r"-----BEGIN [A-Z ]{1,40}-----"),
    re.compile(r"\beyJ[\w-]{8,}\.[\w.-]{8,}"),
    re.compile(r"\b(?:sk|pk|rk|ghp|gho|ghs|glpat|xox[abprs]|hf|npm|pypi)[-_][A-Za-z0-9_-]{10,}"),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}"),
    re.compile(r"\b(?:Bearer|Basic)\s{1,8}[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE),
    re.compile(
        r"\b(?:password|passphrase|passwort|kennwort|mot de passe|secret|token|api[ _-]?key)\s{0,4}[=:]\s{0,4}\S",
        re.IGNORECASE,
    ),
)
_TOKEN = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/_=-]{20,}")
_HEX = re.compile(r"(?<![0-9A-Za-z])(?=[a-f]*\d)[0-9a-f]{16,}(?![0-9A-Za-z])", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")
_NAME = re.compile(r"[^\W_](?:[\w.@-]*[^\W_])?")


@dataclass(frozen=True)
class Finding:
    """Why a text is held back, and where it stands: ``[start, end)`` in the text's plain form, 0 to 0 for all of it."""

    what: What
    start: int = 0
    end: int = 0


class Redactor:
    """Looks for what a site knows by value, and for what has a known form.

    ``hosts``, ``accounts`` and ``groups`` are the site's own names; whatever their case, and whole words only.
    """

    def __init__(self, hosts: Iterable[str] = (), accounts: Iterable[str] = (), groups: Iterable[str] = ()) -> None:
        given: tuple[tuple[What, Iterable[str]], ...] = (("host", hosts), ("account", accounts), ("group", groups))
        self._known: dict[str, What] = {}
        for what, names in given:
            for name in names:
                folded = plain(name).casefold()
                if len(folded) >= LEAST_NAME:
                    self._known.setdefault(folded, what)

    def findings(self, text: str) -> tuple[Finding, ...]:
        """What holds ``text`` back, in the order of the text."""
        unseen = (Finding("unseen"),) if hides(text) else ()
        seen = plain(text)
        found = [*_patterns(seen), *self._names(seen)]
        return (*unseen, *sorted(set(found), key=lambda one: (one.start, one.end, one.what)))

    def _names(self, text: str) -> Iterator[Finding]:
        for pattern in (_WORD, _NAME):
            for match in pattern.finditer(text):
                what = self._known.get(match.group().casefold())
                if what is not None:
                    yield Finding(what, *match.span())


def plain(text: str) -> str:
    """The form that a text is looked through in."""
    return unicodedata.normalize("NFKC", text)


def hides(text: str) -> bool:
    """Whether some of ``text`` is not shown, or steers how the rest is: controls, bidirectional marks, tags."""
    spaced = " ".join(text.split())
    return cleaned(text) != unicodedata.normalize("NFC", spaced) or "\x1b" in text


def _patterns(text: str) -> Iterator[Finding]:
    for what, pattern, is_one in _FORMS:
        for match in pattern.finditer(text):
            if is_one(match.group()):
                yield Finding(what, *match.span())


def _checks(text: str) -> bool:
    """Whether ``text``, or a beginning of it, is an IBAN: what follows one may look like more of it."""
    plain_text = re.sub(r"[ -]", "", text).upper()
    return any(_modulus(plain_text[:length]) == 1 for length in range(15, min(len(plain_text), 34) + 1))


def _modulus(iban: str) -> int:
    turned = iban[4:] + iban[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97


def _is_address(text: str) -> bool:
    if text.count(":") == 1:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return text != "::"


def _is_mixed(text: str) -> bool:
    """Whether a run looks drawn rather than written: letters and digits change places often, or cases do."""
    kinds = ["d" if c.isdigit() else "u" if c.isupper() else "l" if c.islower() else "" for c in text]
    said = [kind for kind in kinds if kind]
    turns = sum(one != other for one, other in pairwise(said))
    return len(set(said)) > 1 and "d" in said and turns * 4 >= len(said)


def _always(_text: str) -> bool:
    return True


def _is_number(text: str) -> bool:
    return not _DATE.fullmatch(text)


_FORMS: tuple[tuple[What, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("email", _EMAIL, _always),
    ("iban", _IBAN, _checks),
    ("link", _LINK, _always),
    ("address", _V4, _is_address),
    ("address", _V6, _is_address),
    ("number", _DIGITS, _is_number),
    *(("secret", pattern, _always) for pattern in (*_SECRET, _HEX)),
    ("secret", _TOKEN, _is_mixed),
)
