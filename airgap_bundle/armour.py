"""Base64 of RFC 4648 in its one spelling: padded, no line breaks, no stray bits, so that equal bytes are equal text."""

from __future__ import annotations

import base64
import binascii

from airgap_bundle.errors import FormatError


def encode(data: bytes) -> str:
    """``data`` as text."""
    return base64.b64encode(data).decode()


def decode(text: object) -> bytes:
    """The bytes that ``text`` spells. Raises ``FormatError`` for anything that ``encode`` would not write."""
    try:
        if isinstance(text, str):
            data = base64.b64decode(text, validate=True)
            if encode(data) == text:
                return data
    except (binascii.Error, ValueError):
        pass
    raise FormatError("not base64 in its one spelling")
