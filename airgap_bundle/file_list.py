"""A bundle directory holds what its metadata names, all of it, and nothing else. Pure: a listing against names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle.blobs import blob_path
from airgap_bundle.errors import DigestMismatchError, MissingFileError, UnlistedFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airgap_bundle.digest import Digest
    from airgap_bundle.medium import Listing

LAYOUT_FILE = "oci-layout"
_LACKING = "copy the bundle again; a delta serves only a site that holds what it leaves out"


def check_file_list(listing: Listing, blobs: Mapping[Digest, int], others: Iterable[str]) -> str:
    """A sentence when ``listing`` is exactly ``blobs``, each of its size, and ``others``.

    Raises ``UnlistedFileError``, ``MissingFileError`` or ``DigestMismatchError`` for a size, in this order.
    """
    sizes = {blob_path(digest): size for digest, size in blobs.items()}
    named = {*others, *sizes}
    found = listing.files
    if extra := sorted((set(found) - named) | (listing.directories - _folders(named))):
        raise UnlistedFileError(f"{extra[0]} is named by no signed metadata{_more(extra)}", "remove it, and ask why")
    if missing := sorted(named - set(found)):
        raise MissingFileError(f"{missing[0]} is missing{_more(missing)}", _LACKING)
    if wrong := sorted(path for path, size in sizes.items() if found[path] != size):
        cause = f"{wrong[0]} is {found[wrong[0]]} bytes long, signed were {sizes[wrong[0]]}{_more(wrong)}"
        raise DigestMismatchError(cause, "copy the bundle again")
    return f"{len(named)} files, none missing, none besides"


def _folders(paths: set[str]) -> set[str]:
    """Every folder that ``paths`` lie in, at any depth."""
    found: set[str] = set()
    for folder in {path.rpartition("/")[0] for path in paths}:
        above = folder
        while above:
            found.add(above)
            above = above.rpartition("/")[0]
    return found


def _more(paths: list[str]) -> str:
    return f" ({len(paths) - 1} more)" if len(paths) > 1 else ""
