"""Long secrets in blocks of one size, so that neither side holds a second copy of the whole.

The STREAM construction over AES-256-GCM (Hoang, Reyhanitabar, Rogaway, Vizár: "Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance", 2015): a nonce says which block it is and whether it is the last, so that blocks cannot
be moved, repeated or cut off. A key seals one secret only, which is why the nonce may begin with zeros.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from appliance.engine.errors import SealBrokenError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TAG_BYTES = 16


def blocks_of(length: int, block_bytes: int) -> int:
    """How many blocks a secret of ``length`` bytes takes; at least one."""
    room = block_bytes - TAG_BYTES
    return max(1, -(-length // room))


def seal(key: bytes, bound: bytes, secret: memoryview, block_bytes: int) -> Iterator[bytes]:
    """The blocks of ``secret``, at most ``block_bytes`` each, bound to the associated data ``bound``."""
    cipher, room = AESGCM(key), block_bytes - TAG_BYTES
    count = blocks_of(len(secret), block_bytes)
    for number in range(count):
        part = secret[number * room : (number + 1) * room]
        yield cipher.encrypt(_nonce(number, last=number == count - 1), part, bound)


def unseal(key: bytes, bound: bytes, blocks: Iterable[bytes], length: int, block_bytes: int) -> bytearray:
    """The secret of ``length`` bytes again. Raises ``SealBrokenError``."""
    cipher, count = AESGCM(key), blocks_of(length, block_bytes)
    secret = bytearray()
    try:
        for number, block in enumerate(blocks):
            secret += cipher.decrypt(_nonce(number, last=number == count - 1), block, bound)
    except InvalidTag as error:
        raise SealBrokenError(f"block {number} of {count} is not what was sealed") from error
    if len(secret) != length:
        raise SealBrokenError(f"{len(secret)} bytes are there, and {length} were sealed")
    return secret


def _nonce(number: int, *, last: bool) -> bytes:
    return struct.pack(">7xIB", number, last)
