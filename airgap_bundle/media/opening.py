"""The one place that opens a bundle, whatever form it travels in: a directory, a packed file, a split set in a folder.

A split set is read where it lies when all its parts are in one folder; ``join`` collects parts from several media.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airgap_bundle.errors import FormatError, MalformedError, MissingFileError, StoreError
from airgap_bundle.file_list import LAYOUT_FILE
from airgap_bundle.media.packed import PackedBundle
from airgap_bundle.media.part_folder import LIST_SUFFIX, find_set
from airgap_bundle.media.part_list import read_claims
from airgap_bundle.media.random_access import FileBytes
from airgap_bundle.medium import Medium

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airgap_bundle.media.part_folder import PartFolder
    from airgap_bundle.medium import BundleSource


@contextmanager
def open_bundle(path: Path) -> Iterator[BundleSource]:
    """The bundle at ``path``. Nothing about it is verified. Raises ``StoreError`` where there is none to open."""
    with _source(path) as found:
        yield found


def _source(path: Path) -> Medium | PackedBundle:
    if path.is_file():
        if path.suffix.upper() == LIST_SUFFIX and (named := find_set(path.parent, path.stem)).names:
            return _whole_set(named)
        return PackedBundle(FileBytes(path, follow=True), path.name)
    if not path.is_dir():
        raise StoreError(f"bundle {path} cannot be opened: no such file or directory", "name a folder or a packed file")
    if not (path / LAYOUT_FILE).exists() and (found := find_set(path)).names:
        return _whole_set(found)
    return Medium(path)


def _whole_set(found: PartFolder) -> PackedBundle:
    """The parts in one folder. What their list says serves to name those that are not here, and nothing else."""
    try:
        parts = read_claims(found.read_list()).parts
    except FormatError as error:
        raise MalformedError(f"part list: {error.cause}", error.hint) from error
    lacking = [part.name for number, part in enumerate(parts, 1) if number not in found.parts]
    if lacking:
        raise MissingFileError(
            f"{found.folder} holds {len(parts) - len(lacking)} of {len(parts)} parts; missing: {lacking[0]}",
            "`sovereign bundle join` collects parts from several media",
        )
    return PackedBundle(found.data(len(parts)), found.folder.name)
