"""Trees from tar archives: packages' own, and those that a bundle's artifacts are.

`tarfile` reads headers and nothing else: no member is ever extracted. Regular files, folders, symbolic links and hard
links (which become a second file of the same bytes) are taken; devices, FIFOs, sparse files and anything after the end
are refused.
"""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, BinaryIO

from airgap_bundle.build.rootfs.content import Slice
from airgap_bundle.build.rootfs.tree import STICKY, File, Folder, Link, Node
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_MEMBERS = 200_000


def read_tar(path: Path, label: str) -> Iterator[tuple[str, Node]]:
    """Members of the uncompressed archive at ``path``, which must stay. Raises ``BuildError``."""
    files: dict[str, File] = {}
    with path.open("rb") as stream:
        try:
            archive = tarfile.open(fileobj=stream, mode="r:", encoding="utf-8", errors="strict")  # noqa: SIM115 - owns nothing: the stream is closed above
            for count, member in enumerate(archive):
                if count >= MAX_MEMBERS:
                    raise BuildError(f"{label} has more than {MAX_MEMBERS} members")
                name = member.name.removeprefix("./").rstrip("/")
                if name in {"", "."}:
                    continue
                node = _node(member, path, label, files)
                if isinstance(node, File):
                    files[name] = node
                yield name, node
            end = archive.offset
        except (tarfile.TarError, UnicodeError, ValueError, OverflowError) as error:
            raise BuildError(f"{label} is no tar archive: {error}") from error
        _check_rest(stream, end, label)


def _node(member: tarfile.TarInfo, path: Path, label: str, files: dict[str, File]) -> Node:
    mode = member.mode & 0o777
    if member.isdir():
        return Folder(mode | (member.mode & STICKY))
    if member.issym():
        return Link(member.linkname)
    if member.islnk():
        linked = files.get(member.linkname.removeprefix("./"))
        if linked is None:
            raise BuildError(f"{label}: {member.name} is a hard link to nothing before it")
        return linked
    if member.type not in {tarfile.REGTYPE, tarfile.AREGTYPE} or member.sparse is not None:
        raise BuildError(f"{label}: {member.name} is no regular file, folder or link")
    return File(Slice(path, member.offset_data, member.size), mode)


def _check_rest(stream: BinaryIO, end: int, label: str) -> None:
    """Only padding follows the last member: a damaged header does not pass for the end."""
    stream.seek(end)
    while block := stream.read(1 << 20):
        if block.strip(b"\0"):
            raise BuildError(f"{label} has a damaged member, or bytes after its end")
