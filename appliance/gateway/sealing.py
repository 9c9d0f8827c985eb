"""Contents at rest: AES-256-GCM, one data key per user, wrapped by the site's content key.

A sealed value is ``nonce (12) || ciphertext || tag (16)``. The associated data names the row and the column it
belongs to, so a value that was moved to another row, column or user does not open. Losing the wrapped key of a user
makes everything of that user unreadable.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from appliance.errors import SovereignError

KEY_BYTES = 32
_NONCE_BYTES = 12


class SealError(SovereignError):
    """A sealed value does not open: another key, another row, or bytes that were changed."""


def seal(key: bytes, plaintext: bytes, *, bound_to: str) -> bytes:
    """Encrypt ``plaintext`` so that it opens only with ``key`` and the same ``bound_to``."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, bound_to.encode())


def unseal(key: bytes, sealed: bytes, *, bound_to: str) -> bytes:
    """The plaintext of ``sealed``. Raises ``SealError``."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to.encode())
    except (InvalidTag, ValueError) as error:
        raise SealError("a stored value does not open with this site's keys") from error


class UserSealer:
    """Seals and opens the values of one user. The data key lives as long as the request that needs it."""

    def __init__(self, data_key: bytes) -> None:
        self._key = data_key

    def seal(self, text: str, *, bound_to: str) -> bytes:
        """Encrypt one column's text."""
        return seal(self._key, text.encode(), bound_to=bound_to)

    def unseal(self, sealed: bytes, *, bound_to: str) -> str:
        """Decrypt one column's text. Raises ``SealError``."""
        return unseal(self._key, sealed, bound_to=bound_to).decode()

    def digest(self, text: str) -> str:
        """A digest of ``text`` that only the key tells from another's: without it, no guess can be confirmed."""
        key = hmac.digest(self._key, b"digest", hashlib.sha256)
        return f"hmac-sha256:{hmac.digest(key, text.encode(), hashlib.sha256).hex()}"


def new_wrapped_key(content_key: bytes, subject: str) -> bytes:
    """A fresh data key for ``subject``, wrapped by the site's content key."""
    return seal(content_key, os.urandom(KEY_BYTES), bound_to=f"user-key:{subject}")


def unwrap_key(content_key: bytes, subject: str, wrapped: bytes) -> UserSealer:
    """The sealer of ``subject``. Raises ``SealError``."""
    return UserSealer(unseal(content_key, wrapped, bound_to=f"user-key:{subject}"))
