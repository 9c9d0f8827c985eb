"""The order of the files in a packed bundle: whoever reads it once, front to back, knows whom to trust before the bulk.

1. every file outside ``blobs/``, ascending by the bytes of its path: signatures, index and release file;
2. the documents, in the order in which a reader follows the index: each manifest, then the config of an artifact;
3. all other blobs, ascending by digest.

A blob that occurs twice stands where it is met first. What a delta leaves out is left out here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle.blobs import blob_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airgap_bundle.digest import Digest
    from airgap_bundle.oci import Contents

BLOBS = "blobs/"


def head_order(paths: Iterable[str]) -> list[str]:
    """The files outside ``blobs/``, in their order."""
    return sorted((path for path in paths if not path.startswith(BLOBS)), key=str.encode)


def documents(contents: Contents) -> list[Digest]:
    """Manifests and the configs of artifacts, as ``oci.read_contents`` asks for them."""
    found: dict[Digest, None] = {}
    for manifest in contents.manifests:
        found[manifest.descriptor.digest] = None
        if manifest.kind is not None:
            found[manifest.config.digest] = None
    return list(found)


def bulk(contents: Contents) -> list[Digest]:
    """All blobs that are no documents."""
    return sorted(set(contents.blobs) - set(documents(contents)))


def packed_order(paths: Iterable[str], contents: Contents) -> list[str]:
    """Every path of a bundle that holds ``paths``, as it is packed."""
    held = set(paths)
    blobs = [blob_path(digest) for digest in (*documents(contents), *bulk(contents))]
    return [*head_order(held), *(path for path in blobs if path in held)]
