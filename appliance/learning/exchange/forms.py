"""Forms in which personal data and secrets are written, whoever they are of. Pure.

An IBAN is held against its check digits (ISO 13616, modulus 97 of ISO 7064). Base64 is found by what it decodes to.
A plain name, a nickname, a number of fewer than seven digits without a word before it, digits spelled as words and
whatever somebody encoded otherwise pass here.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Form = Literal["email", "iban", "address", "link", "secret", "number", "name", "place"]
_EMAIL = re.compile(r"@\s?\w|\w\s{0,2}[\[({<]\s?(?:at|ät|arobase)\s?[\])}>]\s{0,2}\w", re.IGNORECASE)
_IBAN = re.compile(r"(?<![^\W_])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}", re.IGNORECASE)
_TOPS = "com|org|net|info|io|eu|int|gov|edu|mil|ch|li|de|at|fr|be|lu|uk|it|nl|es|pl|us|local|lan|internal|intern|corp"
_LINKS = (
    re.compile(r"[a-z][a-z0-9+.-]{1,20}://|\bwww\.|\\\\[\w.-]|(?<!\w)/(?:home|users|srv|mnt)/\w", re.IGNORECASE),
    re.compile(rf"(?<![\w.-])(?:[a-z0-9-]{{2,63}}\.){{1,8}}(?:{_TOPS}|example|home|test)(?![\w-])", re.IGNORECASE),
)
_V4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d]|\.\d)")
_V6 = re.compile(r"(?<![\w:])[0-9a-f:]{2,39}(?:\d{1,3}(?:\.\d{1,3}){3})?(?![\w:])", re.IGNORECASE)
_MAC = re.compile(r"(?<![\w:-])[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}(?![\w:-])", re.IGNORECASE)
_DIGITS = re.compile(r"\+?\d(?:[\s./()_·•\u2010-\u2015\u2212-]{0,2}\d){6,}")
_DATE = re.compile(r"(?:(\d{4})-(\d{2})-(\d{2})|(\d{1,2})[./](\d{1,2})[./](\d{4}))")
_BORN = re.compile(
    r"\b(?:born|birth|birthday|geboren|geb|geburtsdatum|geburtstag|née?|naissance|nato|nata)\b\D{0,20}\d{1,4}[./ -]",
    re.IGNORECASE,
)
_ABOUT = re.compile(
    r"\b(?:aktenzeichen|az|geschäftsnummer|dossiernummer|fallnummer|personalnummer|kundennummer|ahv|matricule"
    r"|(?:case|file|docket|dossier|fall|akte|personal|employee|staff|customer|client|passport|invoice|account|ticket"
    r"|badge|licen[cs]e|affaire|passeport|compte|konto|ausweis)\s{0,2}(?:number|no|nr|num(?:éro|ero)?|n°|id|#))"
    r"[\s.:#°]{0,4}(?=(?:[a-z]{1,3}\s)?[\w/.-]{0,20}\d)\w",
    re.IGNORECASE,
)
_CALL = re.compile(
    r"\b(?:tel|telephone|phone|ext|extension|durchwahl|telefon|téléphone|poste|fax|mobile|handy|natel|pin)\b"
    r"[\s.:=]{0,4}(?:number|no|nr|n°|code)?[\s.:=]{0,4}\+?\d{2,}",
    re.IGNORECASE,
)
_CODE = re.compile(r"(?<!\w)(?=[A-Z0-9]{7,19}(?!\w))[A-Z0-9]*(?:[A-Z]\d+[A-Z]|\d[A-Z]+\d)[A-Z0-9]*")
_TITLE = re.compile(
    r"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Sir|Herrn?|Frau|Fräulein|Monsieur|Madame|Mademoiselle|Mme|Mlle|Me|Signora?)\.?\s+"
    r"(?:(?:Dr|Prof)\.?\s+){0,2}(?:(?:von|van|de|du|der|den|la|le|di)\s+){0,2}([^\W\d_]\w+)"
)
_PLACES = (
    re.compile(
        r"(?<!\w)[^\W\d_]{2,40}-?(?:stra(?:ss|ß)e|str\.|gasse|weg|allee|platz|ring|ufer|steig)\s{0,2}\d", re.IGNORECASE
    ),
    re.compile(
        r"(?<!\w)\d{1,4}\s?[a-z]?,?\s{1,2}(?:rue|avenue|boulevard|chemin|impasse|quai|allée|via|piazza)\s",
        re.IGNORECASE,
    ),
    re.compile(
        r"\b(?:rue|avenue|boulevard|chemin|impasse|quai|allée|via|piazza)\s[^\d\n.?!]{2,60}?[\s,]\d", re.IGNORECASE
    ),
    re.compile(
        r"(?<!\w)\d{1,5}[a-z]?\s(?:[A-Z]\w+\s){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Drive|Square|Court|Way)\b"
    ),
)
_SECRETS = (
    re.compile(r"-----BEGIN [A-Z ]{1,40}-----"),
    re.compile(r"\beyJ[\w-]{8,}\.[\w.-]{8,}"),
    re.compile(r"\b(?:sk|pk|rk|ghp|gho|ghs|glpat|xox[abprs]|hf|npm|pypi)[-_][A-Za-z0-9_-]{10,}"),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}"),
    re.compile(r"\b(?:Bearer|Basic)\s{1,8}[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE),
    re.compile(
        r"\b(?:password|passphrase|passwort|kennwort|mot de passe|secret|token|api[ _-]?key)\s{0,4}"
        r"(?:[=:]\s{0,4}\S|(?:is|ist|lautet|est)\s{1,4}\S{0,60}\d)",
        re.IGNORECASE,
    ),
    re.compile(r"(?<![0-9A-Za-z])(?=[a-f]*\d)[0-9a-f]{16,}(?![0-9A-Za-z])", re.IGNORECASE),
)
_TOKEN = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/_=-]{20,}")
_BASE64 = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/_-]{11,}={0,2}")


def found(text: str) -> Iterator[tuple[Form, int, int]]:
    """Each form in ``text``, with where it stands."""
    for what, pattern, is_one in _FORMS:
        for match in pattern.finditer(text):
            if is_one(match.group()):
                yield what, *match.span()
    for match in _TITLE.finditer(text):
        if match.group(1)[0].isupper():
            yield "name", *match.span()


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
    often = turns * 4 >= len(said) if "d" in said else turns * 20 >= len(said) * 9
    return len(set(said)) > 1 and often


def _is_encoded(text: str) -> bool:
    """Whether ``text`` is base64, of whichever alphabet, of something that can be read."""
    body = text.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        said = base64.b64decode(body + "=" * (-len(body) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    return bool(said) and all(one.isprintable() or one in "\r\n\t" for one in said)


def _is_number(text: str) -> bool:
    """Whether a run of digits is no date of the calendar."""
    match = _DATE.fullmatch(text)
    if match is None:
        return True
    year, month, day = (int(part) for part in (match.groups()[:3] if match[1] else match.groups()[:2:-1]))
    try:
        date(year, month, day)
    except ValueError:
        return True
    return False


def _always(_text: str) -> bool:
    return True


_FORMS: tuple[tuple[Form, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("email", _EMAIL, _always),
    ("iban", _IBAN, _checks),
    *(("link", pattern, _always) for pattern in _LINKS),
    ("address", _V4, _is_address),
    ("address", _V6, _is_address),
    ("address", _MAC, _always),
    ("number", _DIGITS, _is_number),
    *(("number", pattern, _always) for pattern in (_BORN, _ABOUT, _CALL, _CODE)),
    *(("place", pattern, _always) for pattern in _PLACES),
    *(("secret", pattern, _always) for pattern in _SECRETS),
    ("secret", _TOKEN, _is_mixed),
    ("secret", _BASE64, _is_encoded),
)
