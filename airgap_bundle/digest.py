"""SHA-256 digests in OCI's spelling, ``sha256:<64 lower-case hex>``, and hashing of streams in constant memory."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, BinaryIO

from airgap_bundle.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 1 << 20
_PATTERN = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


class Digest(str):
    """A checked ``sha256:<hex>`` string; equal to, and usable as, the plain string."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: object) -> Digest:
        """``text`` as a digest. Raises ``FormatError`` for any other algorithm, length or case."""
        if not isinstance(text, str) or not _PATTERN.fullmatch(text):
            raise FormatError(f"not a sha256 digest: {str(text)[:80]!r}")
        return cls(text)

    @classmethod
    def from_hex(cls, text: str) -> Digest:
        """The digest whose 64 hex digits are ``text``."""
        return cls.parse(f"sha256:{text}")

    @property
    def hex(self) -> str:
        """The 64 hex digits."""
        return self.removeprefix("sha256:")


def sha256(data: bytes) -> Digest:
    """Digest of ``data``."""
    return Digest(f"sha256:{hashlib.sha256(data).hexdigest()}")


def sha256_stream(
    stream: BinaryIO, *, sink: BinaryIO | None = None, on_bytes: Callable[[int], None] | None = None
) -> tuple[Digest, int]:
    """Digest and length of ``stream`` from where it stands to its end, in chunks of ``CHUNK`` bytes.

    Every chunk is written to ``sink`` after it was hashed: what is kept is what was hashed. ``on_bytes`` hears the
    length of each chunk.
    """
    hasher = hashlib.sha256()
    total = 0
    while chunk := stream.read(CHUNK):
        hasher.update(chunk)
        total += len(chunk)
        if sink is not None:
            sink.write(chunk)
        if on_bytes is not None:
            on_bytes(len(chunk))
    return Digest(f"sha256:{hasher.hexdigest()}"), total
