"""The front of a packed bundle, read from a stream that cannot go back: everything that decides whom to trust.

The files outside ``blobs/`` come first and are kept in memory, capped before they are read. Manifests and configs come
in the order in which verification asks for them, so that each is read when it is asked for and checked at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from airgap_bundle.errors import FormatError, MissingFileError, StoreError
from airgap_bundle.media.head_rules import MAX_HEAD_FILE, HeadRules
from airgap_bundle.media.packed_header import PackedMember, parse_member
from airgap_bundle.medium import Listing, read_up_to
from airgap_bundle.names import check_distinct
from airgap_bundle.tar_header import BLOCK

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class PackedStream:
    """A packed bundle front to back. ``next`` looks at the next member, ``take`` gives its content and moves on."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.next: PackedMember | None = None
        self.advance()

    def advance(self) -> None:
        """Read the next header. Raises ``FormatError`` and ``StoreError``."""
        self.next = parse_member(self.exactly(BLOCK), self.exactly)

    def take(self, max_bytes: int) -> bytes:
        """The next member's content, and move on. Raises ``FormatError`` above ``max_bytes``."""
        member = self.member()
        if member.size > max_bytes:
            raise FormatError(f"{member.path} exceeds {max_bytes} bytes")
        data = self.exactly(member.size)
        self.end_member(member)
        return data

    def end_member(self, member: PackedMember) -> None:
        """Move on after the content of ``member`` was read."""
        if any(self.exactly(member.padding)):
            raise FormatError(f"packed bundle: {member.path} is padded with data")
        self.advance()

    def member(self) -> PackedMember:
        """The next member. Raises ``FormatError`` at the end."""
        if self.next is None:
            raise FormatError("packed bundle ends where more was expected")
        return self.next

    def exactly(self, count: int) -> bytes:
        """``count`` bytes. Raises ``FormatError`` when there are fewer, ``StoreError`` when the medium fails."""
        data = self.up_to(count)
        if len(data) != count:
            raise FormatError("packed bundle is cut short", "copy it again")
        return data

    def up_to(self, count: int) -> bytes:
        """At most ``count`` bytes, fewer only at the end."""
        try:
            return read_up_to(self._stream, count)
        except OSError as error:
            raise StoreError(
                f"packed bundle cannot be read: {error.strerror}", "plug the medium in again and run the same command"
            ) from error


class Content:
    """The next ``size`` bytes of ``stream``, as something to read from; a medium cut short is an error, not an end."""

    def __init__(self, stream: PackedStream, size: int) -> None:
        self._stream, self._left = stream, size

    def read(self, count: int) -> bytes:
        """At most ``count`` bytes, none at the end."""
        data = self._stream.exactly(min(count, self._left))
        self._left -= len(data)
        return data


class PackedHead:
    """A ``BundleSource`` over the front of ``stream``; ``documents`` are the manifests and configs met so far."""

    def __init__(self, stream: PackedStream) -> None:
        self._stream = stream
        self.files: dict[str, bytes] = {}
        self.documents: dict[str, bytes] = {}
        self._read_files()

    def list(self) -> Listing:
        """The files outside ``blobs/``."""
        found = Listing({path: len(data) for path, data in self.files.items()})
        found.directories.update(path.rsplit("/", 1)[0] for path in self.files if "/" in path)
        check_distinct([*found.files, *found.directories])
        return found

    def read(self, path: str, max_bytes: int) -> bytes:
        """A file of the head, or the document that comes next. Raises ``MissingFileError``, ``FormatError``."""
        data = self.files.get(path, self.documents.get(path))
        if data is None:
            found = self._stream.next
            if found is None or found.path != path:
                raise MissingFileError(f"{path} is not where a packed bundle has it", "pack the bundle again")
            data = self.documents[path] = self._stream.take(max_bytes)
        if len(data) > max_bytes:
            raise FormatError(f"{path} exceeds {max_bytes} bytes")
        return data

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Not in a stream: the bulk is read as it comes."""
        raise MissingFileError(f"{path} has not come yet")

    def _read_files(self) -> None:
        rules = HeadRules()
        while (found := self._stream.next) is not None and rules.in_head(found.path, found.size):
            self.files[found.path] = self._stream.take(MAX_HEAD_FILE)
