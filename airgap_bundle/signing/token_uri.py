"""PKCS#11 URIs (RFC 7512), strictly: which token, and which key on it; nothing about modules or PINs.

Of the RFC's path attributes those that say which token and which object are read; query attributes are refused: a PIN
or the place of one has no business in a file, and the module is named by the key description.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from airgap_bundle.errors import FormatError

_TOKEN = ("token", "manufacturer", "model", "serial")
_OBJECT = ("object", "id")
_MAX_LENGTH = 1024
# pk11-pchar of RFC 7512, section 2.3, without the query.
_ATTRIBUTE = re.compile(r"([a-z]+)=((?:[A-Za-z0-9\-._~:\[\]@!$'()*+,=&]|%[0-9A-Fa-f]{2})+)", re.ASCII)


@dataclass(frozen=True)
class TokenUri:
    """``token`` maps attribute to value; ``label`` (``object``), ``key_id`` (``id``) or both name the key."""

    text: str
    token: dict[str, str]
    label: str | None
    key_id: bytes | None

    @classmethod
    def parse(cls, text: object) -> TokenUri:
        """The URI ``text``. Raises ``FormatError`` for what it does not need, and when it names no token or no key."""
        if not isinstance(text, str) or not text.startswith("pkcs11:") or len(text) > _MAX_LENGTH:
            raise FormatError("not a pkcs11: URI")
        if "?" in text:
            raise FormatError("a pkcs11: URI here has no query: PIN and module are given apart")
        found: dict[str, bytes] = {}
        for part in text.removeprefix("pkcs11:").split(";"):
            match = _ATTRIBUTE.fullmatch(part)
            if match is None or match[1] not in (*_TOKEN, *_OBJECT, "type") or match[1] in found:
                raise FormatError(f"pkcs11: URI: {part[:80]!r} is not understood, or stands there twice")
            found[match[1]] = unquote_to_bytes(match[2])
        if found.pop("type", b"private") != b"private":
            raise FormatError("pkcs11: URI: only type=private signs")
        token = {name: _text(found[name]) for name in _TOKEN if name in found}
        if not token or not found.keys() & set(_OBJECT):
            raise FormatError("a pkcs11: URI names a token and a key", "as in pkcs11:token=NAME;object=NAME")
        return cls(text, token, _text(found["object"]) if "object" in found else None, found.get("id"))


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise FormatError("pkcs11: URI: a name is not UTF-8") from error
