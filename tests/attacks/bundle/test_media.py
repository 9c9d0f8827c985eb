"""Attacks 18 to 20: media swapped between check and use, full disks and truncated copies, unlisted blobs."""

from __future__ import annotations

import resource
import shutil
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from airgap_bundle import medium
from airgap_bundle.digest import sha256
from airgap_bundle.errors import (
    DigestMismatchError,
    MalformedError,
    MissingFileError,
    SpecialFileError,
    StoreError,
    UnlistedFileError,
    VerificationError,
)
from airgap_bundle.intake import Intake
from airgap_bundle.store import Store
from airgap_bundle.trust_state import TrustState
from airgap_bundle.verify import verify
from tests.bundles import NOW, Site, root_bytes, tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def largest_blob(bundle: Path) -> Path:
    return max((bundle / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)


def test_18_a_blob_swapped_after_verification_is_refused_by_the_import(site: Site, bundle: Path) -> None:
    assert verify(bundle, TrustState.load(site.trust), now=NOW).ok
    victim = largest_blob(bundle)
    victim.write_bytes(bytes(victim.stat().st_size))
    site.refuses(bundle, DigestMismatchError)


@pytest.mark.parametrize("swap", ["bytes", "link", "gone"])
def test_18_a_blob_swapped_while_others_are_copied_is_refused(fresh: Site, bundle: Path, swap: str) -> None:
    """The first bytes that arrive make the medium change everything that has not been read yet."""
    swapped = threading.Event()

    def meddle(_done: int, _total: int) -> None:
        if swapped.is_set():
            return
        swapped.set()
        for path in (bundle / "blobs/sha256").iterdir():
            size = path.stat().st_size
            path.unlink()
            if swap == "bytes":
                path.write_bytes(b"!" * size)
            elif swap == "link":
                path.symlink_to("/etc/hostname")

    error = {"bytes": DigestMismatchError, "link": SpecialFileError, "gone": MissingFileError}[swap]
    with fresh.unchanged(), pytest.raises(error):
        fresh.install(bundle, pin=root_bytes(), progress=meddle)


def test_18_what_was_imported_is_what_was_signed_whatever_becomes_of_the_medium(site: Site, bundle: Path) -> None:
    release = site.install(bundle)
    shutil.rmtree(bundle)
    for artifact in Store(site.store).open_release(release.version).artifacts.values():
        for file in artifact.files.values():
            assert sha256(file.path.read_bytes()) == file.digest


@contextmanager
def files_no_larger_than(count: int) -> Iterator[None]:
    """Writes beyond ``count`` bytes per file fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("limit", [0, 2000, 4000])
def test_19_a_disk_that_fills_up_leaves_the_site_as_it_was(fresh: Site, bundle: Path, limit: int) -> None:
    """Full at the first blob, at the largest blob, and at the trust state, which is written last."""
    with fresh.unchanged(), pytest.raises(StoreError, match="cannot be written"), files_no_larger_than(limit):
        fresh.install(bundle, pin=root_bytes())
    assert fresh.install(bundle, pin=root_bytes()).number == 3


def test_19_an_upgrade_on_a_full_disk_leaves_the_old_release_and_its_trust_state(site: Site, bundle: Path) -> None:
    with site.unchanged(), pytest.raises(StoreError), files_no_larger_than(4000):
        site.install(bundle)
    assert Store(site.store).releases() == ("2.0.0",)


def test_19_a_truncated_copy_is_refused(site: Site, bundle: Path) -> None:
    victim = largest_blob(bundle)
    victim.write_bytes(victim.read_bytes()[:-1])
    site.refuses(bundle, DigestMismatchError, match="bytes long")


def test_19_a_bundle_larger_than_the_disk_is_refused_before_copying(fresh: Site) -> None:
    """The space is asked for before the first blob is written."""
    with fresh.unchanged(), pytest.raises(StoreError, match="bytes more"), Intake(fresh.store) as intake:
        intake.reserve({sha256(b"huge"): 1 << 62})


def test_19_an_interrupted_import_resumes_and_trusts_no_blob_by_its_name(fresh: Site, bundle: Path) -> None:
    class PowerCut(BaseException):
        pass

    def cut(done: int, total: int) -> None:
        if done > total // 2:
            raise PowerCut

    with pytest.raises(PowerCut):
        fresh.install(bundle, pin=root_bytes(), progress=cut)
    left = [path for path in (fresh.store / "blobs/sha256").iterdir() if path.suffix == ""]
    assert left
    assert not (fresh.trust / "state-a.json").exists()
    left[0].write_bytes(b"not what its name says")
    release = fresh.install(bundle, pin=root_bytes())
    for path in (fresh.store / "blobs/sha256").iterdir():
        assert sha256(path.read_bytes()).hex == path.name
    assert Store(fresh.store).open_release(release.version).number == 3


def test_19_importing_again_changes_no_byte(site: Site, bundle: Path) -> None:
    site.install(bundle)
    before = tree(site.root)
    assert site.install(bundle).number == 3
    assert tree(site.root) == before


@pytest.mark.parametrize(
    "path",
    [
        "blobs/sha256/" + "0" * 64,
        "README.txt",
        "metadata/notes.json",
        "blobs/sha512",
        "metadata/01.root.json",
        ".hidden",
    ],
)
def test_20_an_unlisted_file_anywhere_is_refused(site: Site, bundle: Path, path: str) -> None:
    (bundle / path).write_bytes(b"extra")
    site.refuses(bundle, UnlistedFileError, match=path.rsplit("/", maxsplit=1)[-1])


def test_20_an_unlisted_empty_folder_is_refused(site: Site, bundle: Path) -> None:
    (bundle / "blobs/sha512").mkdir()
    site.refuses(bundle, UnlistedFileError)


def test_20_a_root_that_nobody_signed_is_no_place_to_hide_bytes(site: Site, bundle: Path) -> None:
    (bundle / "metadata/2.root.json").write_bytes(b"anything")
    with site.unchanged(), pytest.raises(VerificationError):
        site.install(bundle)


@pytest.mark.parametrize("kind", ["files", "folders", "folders in folders"])
def test_a_medium_of_endless_names_is_refused_before_they_are_all_read(
    site: Site, bundle: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(medium, "MAX_FILES", 100)
    for number in range(101):
        if kind == "files":
            (bundle / f"{number}.txt").touch()
        elif kind == "folders":
            (bundle / f"folder-{number}").mkdir()
        else:
            (bundle / f"outer-{number % 10}/inner-{number}").mkdir(parents=True)
    site.refuses(bundle, MalformedError, match="more than 100")
