"""Takes out of text what must not leave a site: secrets, and what is about people. Pure.

Three ways, each of which would be too little alone: secrets are known by value; fields are known by name, in JSON
wherever it stands in a line, in `key=value` and in `key: value`; and what looks like a credential or a person's address
goes whatever it is called. When in doubt it goes: a reader who misses something can ask for it.
"""

from __future__ import annotations

import base64
import ipaddress
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from appliance.install.redaction_rules import (
    ADDRESS,
    FIELDS,
    FIGURES,
    INLINE,
    IPV4,
    IPV6,
    KEY_LIKE,
    KEYS,
    LOOKS,
    NAMED,
    PERSON,
    PREFIX,
    SECRET,
    STATEMENT,
    TEXT,
)

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator

LONGEST = 8192
"""Characters of a line of text; a longer one goes as a whole, as nobody reads it and patterns should not."""
LONG = "[long line]"
_SHORTEST = 6  # a secret of fewer characters would take innocent words with it
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Redactor:
    """``secrets`` are values that must be nowhere, ``people`` names of persons, ``kept`` the site's own networks."""

    secrets: Iterable[bytes] = ()
    people: Iterable[str] = ()
    kept: Iterable[str] = ()
    _known: tuple[tuple[str, str], ...] = field(init=False, default=())
    _networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        found = {name: PERSON for name in self.people if name}
        found |= {form: SECRET for secret in self.secrets for form in _forms(secret)}
        object.__setattr__(self, "_known", tuple(sorted(found.items(), key=lambda pair: -len(pair[0]))))
        object.__setattr__(self, "_networks", tuple(ipaddress.ip_network(each) for each in self.kept))

    def log(self, text: str) -> str:
        """A log, line by line; what a runtime puts before a line is no part of it."""
        return "".join(self._log(self._by_value(KEYS.sub(SECRET, text))))

    def data(self, value: Any) -> Any:
        """JSON data, with the fields that are about people or secret emptied."""
        if isinstance(value, dict):
            return {self.text(str(key)): self._field(str(key), found) for key, found in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(found) for found in value]
        return self.text(value) if isinstance(value, str) else value

    def text(self, text: str) -> str:
        """Text of any number of lines, with JSON that may stand in them."""
        found = self._by_value(KEYS.sub(SECRET, text))
        return "".join(self._line(line) for line in found.splitlines(keepends=True))

    def _log(self, text: str) -> Iterator[str]:
        stated = False
        for line in text.splitlines(keepends=True):
            before = found[0] if (found := PREFIX.match(line)) else ""
            body = line[len(before) :]
            stated = STATEMENT.search(body) is not None or (stated and body.startswith("\t"))
            yield self._plain(before)
            yield f"{TEXT}\n" if stated and body.startswith("\t") else self._line(body)

    def _line(self, line: str) -> str:
        body = line.rstrip("\r\n")
        return "".join(self._parts(body)) + line[len(body) :]

    def _parts(self, body: str) -> Iterator[str]:
        """A line's objects field by field, the rest as text; one that cannot be read is cut at a field's name."""
        while (begin := body.find("{")) >= 0:
            named = NAMED.search(body[:begin][-LONGEST:])
            try:
                value, end = _DECODER.raw_decode(body, begin) if named is None else (None, 0)
                shown = json.dumps(self.data(value), ensure_ascii=False) if end else ""
            except (ValueError, RecursionError):
                end = 0
            if not end:
                yield self._cut(body)
                return
            yield self._plain(body[:begin])
            yield shown
            body = body[end:]
        yield self._plain(body)

    def _cut(self, body: str) -> str:
        """What comes before the first field that is named."""
        if len(body) > LONGEST:
            return LONG
        named = NAMED.search(body)
        return self._plain(body) if named is None else self._plain(body[: named.start()]) + named[0] + TEXT

    def _plain(self, text: str) -> str:
        if len(text) > LONGEST:
            return LONG
        for pattern, put in LOOKS:
            text = pattern.sub(put, text)
        text = KEY_LIKE.sub(_key_like, text)
        for pattern, put in INLINE:
            text = pattern.sub(rf"\g<1>{put}", text)
        return IPV6.sub(self._address, IPV4.sub(self._address, text))

    def _field(self, key: str, value: Any) -> Any:
        for pattern, put in FIELDS:
            if pattern.fullmatch(key) and value not in (None, "", [], {}) and not _figure(key, value, put):
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


def persons(value: Any, *, inside: bool = False) -> Iterator[str]:
    """Names of people that stand in ``value``, a site file: every text below a field that is about people."""
    if isinstance(value, dict):
        for key, found in value.items():
            about = any(put == PERSON and pattern.fullmatch(str(key)) for pattern, put in FIELDS)
            yield from persons(found, inside=inside or about)
    elif isinstance(value, list | tuple):
        for found in value:
            yield from persons(found, inside=inside)
    elif inside and isinstance(value, str) and len(value) > 2:  # noqa: PLR2004 - shorter ones are in every word
        yield value


def _figure(key: str, value: Any, put: str) -> bool:
    """Whether a value says how many, not who or what."""
    if isinstance(value, bool):
        return True
    return isinstance(value, int | float) and (put != SECRET or FIGURES.search(key) is not None)


def _key_like(found: re.Match[str]) -> str:
    """Capitals, small letters and digits together are no word."""
    text = found[0]
    mixed = any(c.isupper() for c in text) and any(c.islower() for c in text) and any(c.isdigit() for c in text)
    return SECRET if mixed else text


def _forms(secret: bytes) -> Iterable[str]:
    """How a secret may be spelled: as it is, in base64, in hex, in an address, in JSON, and each of its lines."""
    if len(secret) < _SHORTEST:
        return
    yield from (secret.hex(), secret.hex().upper(), quote(secret, safe=""))
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(secret).decode().rstrip("=")
    try:
        plain = secret.decode().strip()
    except UnicodeDecodeError:
        return
    for line in plain.splitlines():
        if len(line) >= _SHORTEST and not line.startswith("-----"):
            yield from (line, quote(line), quote(line, safe=""), quote_plus(line), json.dumps(line)[1:-1])
