"""A file's bytes, held still: copied once into memory that nobody can change, digested, and read from there.

Whoever may write to a file could change it between its digest and its reading; the digest is that of what was read.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.errors import UsageError
from appliance.memory.parsing.launch import USUAL, Bounds
from appliance.memory.parsing.media import HEAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE = 1 << 20
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


@dataclass(frozen=True)
class Held:
    """A copy, open for reading. ``digest``: ``sha256:`` of it. ``whole``: False where the file is larger than it."""

    descriptor: int
    digest: str
    whole: bool


@contextmanager
def held(source: int, bounds: Bounds = USUAL) -> Iterator[Held]:
    """A copy of the open file, from its beginning. Of one that is larger than a document may be, the head only.

    Raises ``UsageError`` where the file cannot be read.
    """
    descriptor = os.memfd_create("document", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        try:
            whole, digest = _copied(source, descriptor, bounds.file_bytes)
        except OSError as error:
            raise UsageError(f"the file cannot be read: {(error.strerror or '').lower()}", "read it again") from error
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
        yield Held(descriptor, digest, whole)
    finally:
        os.close(descriptor)


def _copied(source: int, target: int, most: int) -> tuple[bool, str]:
    """What is larger is told by its size, or by growing while it is copied; then only the head is kept."""
    if os.fstat(source).st_size <= most:
        hashed = hashlib.sha256()
        size = 0
        while size <= most and (piece := os.pread(source, _PIECE, size)):
            hashed.update(piece)
            size += len(piece)
            _write(target, piece)
        if size <= most:
            return True, "sha256:" + hashed.hexdigest()
        os.ftruncate(target, 0)
        os.lseek(target, 0, os.SEEK_SET)
    head = os.pread(source, HEAD_BYTES, 0)
    _write(target, head)
    return False, "sha256:" + hashlib.sha256(head).hexdigest()


def _write(target: int, piece: bytes) -> None:
    while piece:
        piece = piece[os.write(target, piece) :]
