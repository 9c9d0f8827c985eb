"""What redaction looks for: names of fields, and how secrets and persons look in text. No code.

Every quantifier is bounded, or begins only where its run begins: what a program wrote must not cost more time than its
length, and what a person typed is among it.
"""

from __future__ import annotations

import re

SECRET, PERSON, TEXT, ADDRESS = "[secret]", "[person]", "[text]", "[address]"
_OF_SECRETS = r"(?:passw|passphrase|secret|token|authoriz|cookie|credential|api[_-]?key|private|session)[\w.-]{0,40}"
_CODES = r"(?:pin|t?otp)"
_OF_PEOPLE = (
    r"(?:user_?names?|user_?id|user|preferred_username|e-?mail|(?:given|family|full|first|last|display|nick)_?name"
    r"|officers?|actor|subject|sub|people|person|who|login|phone)"
)
_OF_TEXTS = (
    r"(?:prompts?|contents?|messages?|questions?|answers?|completions?|inputs?|outputs?|query|text|instructions|reason)"
)
FIELDS = (
    (re.compile(rf"[\w.-]{{0,80}}{_OF_SECRETS}|{_CODES}", re.IGNORECASE), SECRET),
    (re.compile(rf"(?:\w{{0,40}}_)?{_OF_PEOPLE}", re.IGNORECASE), PERSON),
    (re.compile(rf"(?:\w{{0,40}}_)?{_OF_TEXTS}", re.IGNORECASE), TEXT),
)
FIGURES = re.compile(
    r"tokens|count|seconds|_s$|_ms$|bytes|limit|max|min|total|timeout|lifespan|length|days", re.IGNORECASE
)
"""Fields that are called like secrets and hold a figure that is none."""

_ANY = rf"(?:{_OF_SECRETS}|(?<![A-Za-z0-9])(?:{_CODES}|{_OF_PEOPLE}|{_OF_TEXTS}))"
_AFTER = r"""["'\\]{0,4}\s{0,4}[=:]\s{0,4}"""
NAMED = re.compile(rf"{_ANY}{_AFTER}", re.IGNORECASE)
"""A field is named here; what follows is its value."""

_QUOTED = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"""
_TO_NEXT = r"[^\s{\[\\](?:[^\n]*?)(?=\s{1,8}-{0,2}[\w.-]{1,40}=|\s--|[,;&]|$)"
_REST = r"\S[^\n]*"


def _inline(key: str, unquoted: str) -> re.Pattern[str]:
    """A field in text: a value in quotes ends with them; others, after an equals sign, as ``unquoted`` says."""
    after = r"""["'\\]{0,4}\s{0,4}"""
    value = rf"(?:{_QUOTED}|(?<==){unquoted}|{_REST})"
    return re.compile(rf"({key}{after}(?:=|[=:]\s{{1,4}}|:))(?=\S){value}", re.IGNORECASE | re.MULTILINE)


_EDGE = "(?<![A-Za-z0-9])"
INLINE = (
    (_inline(rf"(?:{_OF_SECRETS}|{_EDGE}{_CODES})", _TO_NEXT), SECRET),
    (_inline(rf"{_EDGE}{_OF_PEOPLE}", _TO_NEXT), PERSON),
    (_inline(rf"{_EDGE}{_OF_TEXTS}", _REST), TEXT),
    (re.compile(rf"(-[\w-]{{0,40}}(?:passw|secret|token|credential)[\w-]{{0,40}}\s{{1,4}})(?:{_QUOTED}|\S+)"), SECRET),
    (re.compile(r"((?:password|passphrase|secret|token|pin)\s{1,8}(?:is|was)\s{1,8})\S+", re.IGNORECASE), SECRET),
    (re.compile(r"([?&](?:code|state|nonce)=)[^&\s\"']+"), SECRET),
    (re.compile(rf"(\b(?:user|role|login|account)\s{{1,8}})(?:{_QUOTED})", re.IGNORECASE), PERSON),
    (re.compile(r"(\bKey \()[^\n]+"), TEXT),  # of PostgreSQL, as the next three
    (re.compile(r"(\bFailing row contains )[^\n]+"), TEXT),
    (re.compile(r"(\b(?:STATEMENT|QUERY):\s)[^\n]+"), TEXT),
    (re.compile(r"(\bparameters: )[^\n]+", re.IGNORECASE), TEXT),
    (re.compile(r"(\binput_value=)[^\n]+"), TEXT),  # of pydantic
)
STATEMENT = re.compile(r"\b(?:STATEMENT|QUERY|DETAIL|CONTEXT):\s")
"""PostgreSQL goes on in lines that begin with a tab."""

KEYS = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)", re.DOTALL)
LOOKS = (
    (re.compile(r"\b(?:Bearer|Basic)\s{1,8}[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), SECRET),
    (re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w.-]+"), SECRET),
    (re.compile(r"(?<=://)[^\s/@:]{1,128}:\S{1,256}(?=@)"), SECRET),
    (re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"), SECRET),  # kubeadm's tokens
    (re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}"), PERSON),
    (re.compile(r"(?<!sha256:)\b[0-9A-Fa-f]{32,}\b"), SECRET),
)
KEY_LIKE = re.compile(r"(?<![\w+/.-])[A-Za-z0-9+_-][A-Za-z0-9+/_-]{31,}={0,2}")
IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
IPV6 = re.compile(r"(?<![\w:.])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?![\w:])", re.IGNORECASE)
PREFIX = re.compile(r"\S{10,40} (?:stdout|stderr) [PF](?: |$)|[A-Z][a-z]{2} [ \d]\d [\d:]{8} \S{1,80} [^\s:]{1,100}: ")
"""What the runtime of containers, or the journal, puts before a line."""
