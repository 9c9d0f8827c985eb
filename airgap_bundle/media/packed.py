"""A packed bundle read in place: the same files as in a directory, found by one walk over the headers.

Every byte of the file is accounted for: headers have one spelling, padding is zero, nothing follows the end, and the
contents are the files that verification hashes. The order of the blobs matters to one-pass readers only (``unpack``).
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Self, cast

from airgap_bundle.errors import FormatError, MissingFileError, StoreError
from airgap_bundle.media.head_rules import HeadRules
from airgap_bundle.media.packed_header import END, PackedMember, parse_member
from airgap_bundle.media.random_access import RandomAccess, Window
from airgap_bundle.medium import MAX_FILES, Listing, read_capped
from airgap_bundle.names import check_distinct
from airgap_bundle.tar_header import BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

# A PAX header, its record and the ustar header: two blocks and as many as a record may have.
_LONGEST_HEADER = 8 * BLOCK


class PackedBundle:
    """The packed bundle in ``data``, which ``name`` stands for in messages. Closes ``data`` as a context manager."""

    def __init__(self, data: RandomAccess, name: str) -> None:
        self._data, self._name = data, name
        self._places: dict[str, tuple[int, int]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._data.close()

    def list(self) -> Listing:
        """Every file. Raises ``FormatError`` for what is no packed bundle, ``UnsafeNameError``, ``StoreError``."""
        found = Listing()
        for path, (_, size) in self._walk().items():
            found.files[path] = size
            parents = path.split("/")[:-1]
            found.directories.update("/".join(parents[: depth + 1]) for depth in range(len(parents)))
        check_distinct([*found.files, *found.directories])
        return found

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """The file ``path``. Raises ``MissingFileError``, and as ``list``."""
        place = self._walk().get(path)
        if place is None:
            raise MissingFileError(f"{path} is missing", "copy the bundle again")
        yield cast("BinaryIO", Window(self._data, *place))

    def read(self, path: str, max_bytes: int) -> bytes:
        """All of ``path``. Raises as ``open``, and ``FormatError`` above ``max_bytes``."""
        with self.open(path) as stream:
            return read_capped(stream, path, max_bytes)

    def _walk(self) -> dict[str, tuple[int, int]]:
        """Offset and size of every file; read once."""
        if self._places is None:
            try:
                self._places = self._find_all()
            except OSError as error:
                raise StoreError(f"{self._name} cannot be read: {error.strerror}", "try the medium again") from error
        return self._places

    def _find_all(self) -> dict[str, tuple[int, int]]:
        places: dict[str, tuple[int, int]] = {}
        offset, rules = 0, HeadRules(self._name)
        while (member := self._member_at(offset)) is not None:
            start = offset + member.header
            if member.path in places or len(places) >= MAX_FILES:
                raise FormatError(f"{self._name}: {member.path} occurs twice, or is one file too many")
            rules.in_head(member.path, member.size)
            places[member.path] = (start, member.size)
            offset = start + member.size + member.padding
            if any(self._exactly(offset - member.padding, member.padding)):
                raise FormatError(f"{self._name}: {member.path} is padded with data")
        if offset + len(END) != self._data.size:
            raise FormatError(f"{self._name} does not end after its two closing blocks")
        return places

    def _member_at(self, offset: int) -> PackedMember | None:
        stream = io.BytesIO(self._data.read_at(offset, _LONGEST_HEADER))

        def more(count: int) -> bytes:
            data = stream.read(count)
            if len(data) != count:
                raise FormatError(f"{self._name} is cut short", "copy it again")
            return data

        return parse_member(more(BLOCK), more)

    def _exactly(self, offset: int, count: int) -> bytes:
        data = self._data.read_at(offset, count)
        if len(data) != count:
            raise FormatError(f"{self._name} is cut short", "copy it again")
        return data
