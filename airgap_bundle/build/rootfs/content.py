"""Bytes of a file in a tree, wherever they lie: in memory, in a slice of a file, or in an open zip archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from airgap_bundle.digest import CHUNK
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airgap_bundle.build.strict_zip import StrictZip, ZipMember


class Content(Protocol):
    """The bytes of one file."""

    @property
    def size(self) -> int:
        """How many there are."""

    def chunks(self) -> Iterator[bytes]:
        """The bytes, from the first; may be asked for again."""


@dataclass(frozen=True)
class Data:
    """Bytes in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """Their number."""
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        """All at once."""
        yield self.data


@dataclass(frozen=True)
class Slice:
    """``size`` bytes of ``path`` from ``offset``."""

    path: Path
    offset: int
    size: int

    def chunks(self) -> Iterator[bytes]:
        """Read anew each time. Raises ``BuildError`` when the file is shorter."""
        left = self.size
        with self.path.open("rb") as stream:
            stream.seek(self.offset)
            while left:
                piece = stream.read(min(left, CHUNK))
                if not piece:
                    raise BuildError(f"{self.path.name} ends before byte {self.offset + self.size}")
                left -= len(piece)
                yield piece


@dataclass(frozen=True)
class Zipped:
    """A member of an archive that stays open for as long as the tree is used."""

    archive: StrictZip
    member: ZipMember

    @property
    def size(self) -> int:
        """As the archive declares it; reading compares."""
        return self.member.size

    def chunks(self) -> Iterator[bytes]:
        """Inflated anew each time."""
        return self.archive.chunks(self.member)


def whole(content: Content, limit: int) -> bytes:
    """All bytes of a small file. Raises ``BuildError`` above ``limit``."""
    if content.size > limit:
        raise BuildError(f"a file of {content.size} bytes where at most {limit} belong")
    return b"".join(content.chunks())
