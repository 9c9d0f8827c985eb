"""Takes out of text what must not leave a site: secrets, and what is about people. Pure.

Three ways, each of which would be too little alone: secrets are known by value; fields are known by name, in JSON, in
`key=value` and in `key: value`; and what looks like a credential or a person's address goes whatever it is called.
When in doubt it goes: a reader who misses something can ask for it.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

SECRET, PERSON, TEXT, ADDRESS = "[secret]", "[person]", "[text]", "[address]"
_OF_SECRETS = r"[\w.-]*(?:passw|passphrase|secret|token|authoriz|cookie|credential|api[_-]?key|private|session)[\w.-]*"
_OF_PEOPLE = (
    r"(?:user_?names?|user_?id|user|preferred_username|e-?mail|given_?name|family_?name|full_?name|officers?|actor"
    r"|subject|people|person|who|login)"
)
_OF_TEXTS = (
    r"(?:prompts?|contents?|messages?|questions?|answers?|completions?|inputs?|outputs?|query|text|instructions|reason)"
)
_KEYS = ((_OF_SECRETS, SECRET), (_OF_PEOPLE, PERSON), (_OF_TEXTS, TEXT))
_FIELDS = tuple((re.compile(key, re.IGNORECASE), put) for key, put in _KEYS)
_VALUE = r"""(\s*[=:]\s*)("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\[[^\]]*\]|[^\s,;&})\]]+)"""
_INLINE = tuple((re.compile(rf"""(\b{key}["']?){_VALUE}""", re.IGNORECASE), put) for key, put in _KEYS)
_PATTERNS = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), SECRET),
    (re.compile(r"\b(?:Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), SECRET),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"), SECRET),
    (re.compile(r"(?<=://)[^\s/@:]+:[^\s/@]+(?=@)"), SECRET),
    (re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"), SECRET),  # kubeadm's tokens
    (re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"), PERSON),
    (re.compile(r"(?<![\w+/.-])(?=\S*[A-Z])(?=\S*[a-z])(?=\S*\d)[A-Za-z0-9+_-][A-Za-z0-9+/_-]{31,}={0,2}"), SECRET),
    (re.compile(r"(?<!sha256:)\b[0-9a-f]{32,}\b"), SECRET),
)
_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_SHORTEST = 6  # a secret of fewer characters would take innocent words with it


@dataclass(frozen=True)
class Redactor:
    """``secrets`` are values that must be nowhere, ``people`` names of persons, ``kept`` the site's own networks."""

    secrets: Iterable[bytes] = ()
    people: Iterable[str] = ()
    kept: Iterable[str] = ()
    _known: tuple[tuple[str, str], ...] = field(init=False, default=())
    _networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        found = {form: SECRET for secret in self.secrets for form in _forms(secret)}
        found |= {name: PERSON for name in self.people if name}
        object.__setattr__(self, "_known", tuple(sorted(found.items(), key=lambda pair: -len(pair[0]))))
        object.__setattr__(self, "_networks", tuple(ipaddress.ip_network(each) for each in self.kept))

    def log(self, text: str) -> str:
        """A log: lines that are JSON objects field by field, others as text."""
        text = self._by_value(_PATTERNS[0][0].sub(_PATTERNS[0][1], text))
        return "".join(self._line(line) for line in text.splitlines(keepends=True))

    def data(self, value: Any) -> Any:
        """JSON data, with the fields that are about people or secret emptied."""
        if isinstance(value, dict):
            return {self.text(str(key)): self._field(str(key), found) for key, found in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(found) for found in value]
        return self.text(value) if isinstance(value, str) else value

    def text(self, text: str) -> str:
        """One piece of text."""
        text = self._by_value(text)
        for pattern, put in (*_PATTERNS, *_INLINE):
            text = pattern.sub(put if pattern.groups == 0 else rf"\g<1>\g<2>{put}", text)
        return _IPV4.sub(self._address, text)

    def _line(self, line: str) -> str:
        body = line.strip()
        if body.startswith("{"):
            try:
                return json.dumps(self.data(json.loads(body)), ensure_ascii=False) + "\n"
            except ValueError:
                pass
        return self.text(line)

    def _field(self, key: str, value: Any) -> Any:
        for pattern, put in _FIELDS:
            if pattern.fullmatch(key) and value not in (None, "", [], {}) and not isinstance(value, bool | int | float):
                return put
        return self.data(value)

    def _by_value(self, text: str) -> str:
        for value, put in self._known:
            text = text.replace(value, put)
        return text

    def _address(self, found: re.Match[str]) -> str:
        try:
            address = ipaddress.ip_address(found[0])
        except ValueError:
            return found[0]
        ours = address.is_loopback or address.is_unspecified or any(address in each for each in self._networks)
        return found[0] if ours else ADDRESS


def _forms(secret: bytes) -> Iterable[str]:
    """How a secret may be spelled in text: as it is, in base64, in hex, and each of its lines."""
    if len(secret) < _SHORTEST:
        return
    yield secret.hex()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(secret).decode().rstrip("=")
    try:
        plain = secret.decode().strip()
    except UnicodeDecodeError:
        return
    yield from (line for line in plain.splitlines() if len(line) >= _SHORTEST and not line.startswith("-----"))
