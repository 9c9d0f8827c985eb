"""What a release adds to what a site holds, and a bundle of just that.

A delta is the same signed release: every file outside ``blobs/``, every manifest and config, and those blobs that the
site's inventory does not list with their size. The site accepts it by the same checks as a full bundle (``supply``).
"""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airgap_bundle import durable
from airgap_bundle.blobs import blob_path
from airgap_bundle.errors import RollbackError, StoreError
from airgap_bundle.media.disk import check_room
from airgap_bundle.media.order import documents
from airgap_bundle.media.pack import copy_file, open_whole
from airgap_bundle.metadata import format_time, parse_root

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.blobs import Progress
    from airgap_bundle.digest import Digest
    from airgap_bundle.media.inventory import Inventory
    from airgap_bundle.media.pack import Whole
    from airgap_bundle.oci import Manifest


@dataclass(frozen=True)
class ArtifactDifference:
    """One artifact: its bytes in all, and those that the site lacks."""

    name: str
    kind: str
    version: str
    size: int
    new: int


@dataclass(frozen=True)
class Difference:
    """A release against an inventory. Sizes in bytes; ``unused`` is what the site holds and this release does not name.

    ``carried`` is what a delta brings: ``new`` blobs, and signatures and documents, which always travel.
    """

    release: str
    version: str
    number: int
    site: str
    made: str
    active: str | None
    artifacts: tuple[ArtifactDifference, ...]
    new_blobs: int
    new: int
    held_blobs: int
    held: int
    unused_blobs: int
    unused: int
    carried: int

    def to_json(self) -> dict[str, Any]:
        """The difference as plain JSON values."""
        return asdict(self)


def compare(bundle: Path, inventory: Inventory) -> Difference:
    """The release in ``bundle`` against ``inventory``. Raises as ``pack.open_whole``."""
    with open_whole(bundle) as whole:
        return _difference(whole, inventory)


def write_delta(bundle: Path, inventory: Inventory, out: Path, *, progress: Progress | None = None) -> Difference:
    """Write the bundle directory ``out``, which must not exist: ``bundle`` without what the site holds.

    Raises ``RollbackError`` where the site would refuse the release whatever it brings, ``StoreError``, and a
    ``VerificationError`` for a damaged or unsealed bundle; ``out`` is whole or not there.
    """
    if out.exists() or out.is_symlink():
        raise StoreError(f"{out} exists", "name a new folder")
    with open_whole(bundle) as whole:
        _check_welcome(whole, inventory)
        found = _difference(whole, inventory)
        files = _carried(whole, inventory)
        partial = _make(out.with_name(out.name + durable.PARTIAL))
        try:
            check_room(partial, found.carried)
            _copy(whole, files, partial, progress)
            partial.rename(out)
            durable.sync_directory(out.parent)
        except OSError as error:
            raise StoreError(f"{out} cannot be written: {error.strerror}", "check free space and rights") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return found


def _make(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o755)
    except OSError as error:
        raise StoreError(f"{folder} cannot be made: {error.strerror}", "remove it, or name another folder") from error
    return folder


def _held(whole: Whole, inventory: Inventory) -> frozenset[Digest]:
    """Blobs that may stay away: listed by the site with the size that was signed, and no documents."""
    always = set(documents(whole.contents))
    blobs = whole.contents.blobs.items()
    return frozenset(digest for digest, size in blobs if digest not in always and inventory.blobs.get(digest) == size)


def _carried(whole: Whole, inventory: Inventory) -> dict[str, int]:
    left_out = {blob_path(digest) for digest in _held(whole, inventory)}
    return {path: size for path, size in whole.files.items() if path not in left_out}


def _difference(whole: Whole, inventory: Inventory) -> Difference:
    blobs, info = whole.contents.blobs, whole.contents.release.info
    held = {digest for digest, size in blobs.items() if inventory.blobs.get(digest) == size}
    new = sum(size for digest, size in blobs.items() if digest not in held)
    unused = {digest: size for digest, size in inventory.blobs.items() if digest not in blobs}

    def one(manifest: Manifest) -> ArtifactDifference:
        kind, version, _ = whole.contents.release.artifacts[manifest.name]
        layers = {layer.digest: layer.size for layer in (manifest.descriptor, manifest.config, *manifest.layers)}
        lacking = sum(size for digest, size in layers.items() if digest not in held)
        return ArtifactDifference(manifest.name, kind, version, sum(layers.values()), lacking)

    return Difference(
        release=info.name,
        version=info.version,
        number=info.number,
        site=inventory.site,
        made=format_time(inventory.made),
        active=inventory.active,
        artifacts=tuple(one(manifest) for manifest in whole.contents.artifacts),
        new_blobs=len(blobs) - len(held),
        new=new,
        held_blobs=len(held),
        held=sum(blobs.values()) - new,
        unused_blobs=len(unused),
        unused=sum(unused.values()),
        carried=sum(_carried(whole, inventory).values()),
    )


def _check_welcome(whole: Whole, inventory: Inventory) -> None:
    """What the site says it would refuse is not carried to it."""
    number = whole.contents.release.info.number
    if number < inventory.floor:
        raise RollbackError(f"{inventory.site} has seen release {inventory.floor} and refuses number {number}")
    versions = [parse_root(root).signed.version for root in whole.roots]
    if not min(versions) <= inventory.root <= max(versions):
        raise RollbackError(
            f"{inventory.site} trusts root {inventory.root}; the bundle has roots {min(versions)} to {max(versions)}",
            "sign it with all roots from the one that the site trusts",
        )


def _copy(whole: Whole, files: dict[str, int], folder: Path, progress: Progress | None) -> None:
    total, done = sum(files.values()), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    for path, size in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as sink:
            copy_file(whole.source, path, size, sink, advance)
            sink.flush()
            os.fsync(sink.fileno())
