"""Around an import: links planted in the store, a store that cannot be written, a process that runs out of files."""

from __future__ import annotations

import os
import resource
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.durable import PARTIAL
from airgap_bundle.errors import SpecialFileError, StoreError
from tests.bundles import NOW, Site, root_bytes, tree

if TYPE_CHECKING:
    from collections.abc import Iterator


def largest_blob(bundle: Path) -> Path:
    return max((bundle / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_15_a_link_planted_where_a_blob_is_written_is_not_written_through(
    fresh: Site, bundle: Path, tmp_path: Path, kind: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    place = fresh.store / "blobs/sha256" / (largest_blob(bundle).name + PARTIAL)
    place.parent.mkdir(parents=True)
    if kind == "symbolic":
        place.symlink_to(victim)
    else:
        place.hardlink_to(victim)
    assert fresh.install(bundle, pin=root_bytes()).number == 3
    assert victim.read_bytes() == b"precious"


def test_15_a_link_planted_where_the_trust_state_is_written_is_not_written_through(
    fresh: Site, bundle: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    fresh.trust.mkdir()
    (fresh.trust / ("state-a.json" + PARTIAL)).hardlink_to(victim)
    assert fresh.install(bundle, pin=root_bytes()).number == 3
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_15_a_blob_in_the_store_that_is_a_link_is_replaced_by_a_file_of_its_own(
    fresh: Site, bundle: Path, tmp_path: Path, kind: str
) -> None:
    """Its bytes are right now, and whoever holds the other name changes them later."""
    source = largest_blob(bundle)
    elsewhere = Path(shutil.copy(source, tmp_path / "elsewhere"))
    place = fresh.store / "blobs/sha256" / source.name
    place.parent.mkdir(parents=True)
    if kind == "symbolic":
        place.symlink_to(elsewhere)
    else:
        place.hardlink_to(elsewhere)
    fresh.install(bundle, pin=root_bytes())
    elsewhere.write_bytes(b"changed afterwards")
    assert not place.is_symlink()
    assert place.read_bytes() == source.read_bytes()


def test_18_a_folder_swapped_for_a_link_while_blobs_are_copied_is_refused(
    fresh: Site, bundle: Path, tmp_path: Path
) -> None:
    shutil.copytree(bundle / "blobs", tmp_path / "twin")

    def meddle(_done: int, _total: int) -> None:
        if not (bundle / "blobs").is_symlink():
            (bundle / "blobs").rename(tmp_path / "aside")
            (bundle / "blobs").symlink_to(tmp_path / "twin")

    with fresh.unchanged(), pytest.raises(SpecialFileError):
        fresh.install(bundle, pin=root_bytes(), progress=meddle)


def test_19_a_store_where_nothing_can_be_made_is_an_error_and_no_trust_is_gained(fresh: Site, bundle: Path) -> None:
    """The kernel's own file system takes no folder from anybody, root included."""

    class Sealed(Site):
        @property
        def store(self) -> Path:
            return Path("/proc/self/store")

    with fresh.unchanged(), pytest.raises(StoreError, match="cannot be made"):
        Sealed(fresh.root).install(bundle, pin=root_bytes())


def test_19_a_blob_that_cannot_be_replaced_is_an_error_and_changes_nothing(fresh: Site, bundle: Path) -> None:
    place = fresh.store / "blobs/sha256" / (largest_blob(bundle).name + PARTIAL)
    (place / "folder").mkdir(parents=True)
    with fresh.unchanged(), pytest.raises(StoreError, match="cannot be written"):
        fresh.install(bundle, pin=root_bytes())


@contextmanager
def few_descriptors(spare: int) -> Iterator[None]:
    """The process can open ``spare`` files more than it has open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, not paths
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, before[1]))
    taken = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
    held = []
    try:
        held += [os.open("/dev/null", os.O_RDONLY) for _ in range(highest + 1 - taken - spare)]
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("spare", range(1, 12))
def test_19_a_process_that_runs_out_of_files_changes_nothing_or_finishes(fresh: Site, bundle: Path, spare: int) -> None:
    before = tree(fresh.root)
    opened = os.listdir("/proc/self/fd")  # noqa: PTH208 - names, not paths
    error: StoreError | None = None
    with few_descriptors(spare):
        try:
            fresh.install(bundle, pin=root_bytes(), now=NOW)
        except StoreError as refused:
            error = refused
    assert len(os.listdir("/proc/self/fd")) == len(opened)  # noqa: PTH208 - a count
    assert error is not None or spare > 3
    if error is not None:
        assert tree(fresh.root) == before
    assert fresh.install(bundle, pin=root_bytes()).number == 3
