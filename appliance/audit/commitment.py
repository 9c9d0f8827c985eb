"""What the log holds instead of content and names: salted commitments and keyed pseudonyms.

A bare hash of a short prompt can be guessed; a commitment cannot, as long as its salt is kept apart. Anyone who is
given content and salt recomputes it with ``sha256sum``: the digest of PREFIX, the 32 bytes of salt and the content.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

PREFIX = b"sovereign/commitment/v1\n"
SALT_BYTES = 32
PSEUDONYM_HEX = 32


def new_salt() -> bytes:
    """A fresh salt; one per committed content, never reused."""
    return secrets.token_bytes(SALT_BYTES)


def commit(content: bytes, salt: bytes) -> str:
    """Commitment to ``content``: ``sha256:`` and 64 hex digits. The salt has 32 bytes, so that nothing is ambiguous."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes")
    return "sha256:" + hashlib.sha256(PREFIX + salt + content).hexdigest()


def opens(commitment: str, content: bytes, salt: bytes) -> bool:
    """Whether ``content`` with ``salt`` is what the commitment was made of."""
    return hmac.compare_digest(commit(content, salt), commitment)


def pseudonym(subject: str, key: bytes) -> str:
    """Name of a Keycloak subject in the log; who destroys the key unlinks every entry from the person."""
    return hmac.new(key, subject.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:PSEUDONYM_HEX]
