"""Layers: a tree as one deterministic tar, compressed by a pinned library.

Sorted by path, mtime 0, owners by number without names, one header form. Equal trees give equal tars, and with one
version of the library equal blobs; the layer's `diff_id` is over the tar alone. A layer's time is not the release's, so
that two releases share the layers that did not change.
"""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from airgap_bundle.build.rootfs import zstd
from airgap_bundle.build.rootfs.tree import File, Folder, Link
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airgap_bundle.build.cache import BuildCache, CachedFile
    from airgap_bundle.build.rootfs.tree import Node
    from airgap_bundle.build.stage import Advance

MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar+zstd"


@dataclass(frozen=True)
class Layer:
    """A layer's blob, the digest (hex) and the size of the tar inside."""

    blob: CachedFile
    diff_id: str
    unpacked: int


class _Hashed:
    """A file to write into that hashes and counts what goes through."""

    def __init__(self, sink: BinaryIO | None) -> None:
        self._sink = sink
        self._hasher = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self._hasher.update(data)
        self.size += len(data)
        if self._sink is not None:
            self._sink.write(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back here."""

    @property
    def hex(self) -> str:
        return self._hasher.hexdigest()


def write_layer(nodes: Mapping[str, Node], cache: BuildCache, advance: Advance) -> Layer:
    """Write ``nodes``, sorted and with all their folders, into the cache. Raises ``BuildError``."""
    total = sum(node.content.size for node in nodes.values() if isinstance(node, File))
    with cache.writer() as partial:
        blob = _Hashed(partial.stream)
        with zstd.compressor(cast("BinaryIO", blob)) as stream:
            tar = _Hashed(stream)
            done = 0
            for path, node in nodes.items():
                _write(cast("BinaryIO", tar), path, node)
                if isinstance(node, File):
                    done += node.content.size
                    advance(done, total)
            tar.write(b"\0" * tarfile.BLOCKSIZE * 2)
        return Layer(partial.keep(blob.hex, blob.size), tar.hex, tar.size)


def _write(out: BinaryIO, path: str, node: Node) -> None:
    out.write(_header(path, node))
    if not isinstance(node, File):
        return
    count = 0
    for piece in node.content.chunks():
        count += out.write(piece)
    if count != node.content.size:
        raise BuildError(f"{path} changed its length while it was read")
    out.write(b"\0" * (-count % tarfile.BLOCKSIZE))


def _header(path: str, node: Node) -> bytes:
    info = tarfile.TarInfo(f"{path}/" if isinstance(node, Folder) else path)
    info.mtime = 0
    if isinstance(node, Link):
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, node.target, 0o777
    elif isinstance(node, Folder):
        info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, node.mode, node.owner, node.owner
    else:
        info.size, info.mode, info.uid, info.gid = node.content.size, node.mode, node.owner, node.owner
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
