"""Debian packages through a real apt: from a signed archive in a folder, which then moves on."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.debian.apt import Archive, Source
from airgap_bundle.build.debian.package_lock import PackageRequest, fetch_packages, lock_packages
from airgap_bundle.build.stage import silent
from airgap_bundle.errors import BundleError, LockError
from tests.debs import SignedArchive, SmallDeb, member

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airgap_bundle.locked_packages import PackageSet

REQUEST = PackageRequest("tool", "bookworm", ("alpha",), ("idle",))
BETA = SmallDeb("beta", "2:2.0-1", members=[member("usr/lib/beta", b"two")])
IDLE = SmallDeb("idle", members=[member("usr/lib/idle", b"-")])
ALPHA = SmallDeb("alpha", "1.0-1", depends="beta (>= 2:2.0), idle", members=[member("usr/bin/alpha", b"one")])


class Builder:
    """A builder with a cache of its own over the archive."""

    def __init__(self, archive: SignedArchive, root: Path) -> None:
        self.cache = BuildCache(root)
        self.archive = Archive((Source(f"file:{archive.root}", archive.suite, "main"),), archive.keyring)

    def lock(self, *kept: PackageSet, request: PackageRequest = REQUEST) -> PackageSet:
        before = {item.artifact: item for item in kept}
        (made,) = lock_packages([request], before, self.cache, silent, lambda _suite: self.archive)
        return made

    def fetch(self, locked: PackageSet) -> set[bytes]:
        files = fetch_packages([locked], self.cache, silent, lambda _suite: self.archive)
        return {file.path.read_bytes() for file in files.values()}


@pytest.fixture(scope="module")
def signed() -> Iterator[SignedArchive]:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)  # apt's methods run as a user of their own, whom pytest's folders keep out
        archive = SignedArchive(Path(name))
        yield archive
        archive.close()


@pytest.fixture
def archive(signed: SignedArchive) -> SignedArchive:
    signed.publish(ALPHA, BETA, IDLE)
    return signed


def test_a_package_is_locked_with_what_it_depends_on(archive: SignedArchive, tmp_path: Path) -> None:
    builder = Builder(archive, tmp_path)
    locked = builder.lock()
    assert [(item.name, item.version) for item in locked.packages] == [("alpha", "1.0-1"), ("beta", "2:2.0-1")]
    assert builder.fetch(locked) == {ALPHA.data(), BETA.data()}


def test_another_builder_fetches_what_is_locked(archive: SignedArchive, tmp_path: Path) -> None:
    locked = Builder(archive, tmp_path / "one").lock()
    assert Builder(archive, tmp_path / "other").fetch(locked) == {ALPHA.data(), BETA.data()}


def test_a_version_that_vanished_is_named_with_what_to_lock_again(archive: SignedArchive, tmp_path: Path) -> None:
    first = Builder(archive, tmp_path / "first")
    locked = first.lock()
    archive.publish(ALPHA, SmallDeb("beta", "2:2.1-1"), IDLE)
    with pytest.raises(LockError, match=r"no longer has beta 2:2\.0-1") as caught:
        Builder(archive, tmp_path / "late").fetch(locked)
    assert "--relock tool" in str(caught.value.hint)
    assert "inputs import" in str(caught.value.hint)
    assert first.fetch(locked) == {ALPHA.data(), BETA.data()}
    assert first.lock(locked) == locked
    assert [item.version for item in first.lock().packages] == ["1.0-1", "2:2.1-1"]


def test_one_version_with_other_bytes_is_refused_and_not_kept(archive: SignedArchive, tmp_path: Path) -> None:
    locked = Builder(archive, tmp_path / "one").lock()
    archive.publish(ALPHA, SmallDeb("beta", "2:2.0-1", members=[member("usr/lib/beta", b"evil")]), IDLE)
    late = Builder(archive, tmp_path / "late")
    with pytest.raises(LockError, match="changed since it was locked"):
        late.fetch(locked)
    assert {path.name for path in late.cache.root.rglob("*") if path.is_file()} <= {
        item.sha256 for item in locked.packages
    }


def test_an_index_that_was_not_signed_is_not_believed(archive: SignedArchive, tmp_path: Path) -> None:
    index = archive.root / "dists" / archive.suite / "main" / "binary-amd64" / "Packages"
    index.write_text(index.read_text().replace("2:2.0-1", "2:6.6-6"))
    with pytest.raises(BundleError, match="apt-get"):
        Builder(archive, tmp_path).lock()


def test_an_archive_signed_by_another_key_is_not_believed(archive: SignedArchive, tmp_path: Path) -> None:
    stranger = SignedArchive(tmp_path / "stranger")
    stranger.close()
    builder = Builder(archive, tmp_path / "cache")
    builder.archive = Archive(builder.archive.sources, stranger.keyring)
    with pytest.raises(BundleError, match="apt-get"):
        builder.lock()


def test_leaving_out_what_nothing_depends_on_is_a_mistake(archive: SignedArchive, tmp_path: Path) -> None:
    wrong = PackageRequest("tool", "bookworm", ("beta",), ("idle",))
    with pytest.raises(LockError, match="nothing depends on idle"):
        Builder(archive, tmp_path).lock(request=wrong)


def test_a_package_that_the_suite_does_not_have_is_named(archive: SignedArchive, tmp_path: Path) -> None:
    wrong = PackageRequest("tool", "bookworm", ("gamma",), ())
    with pytest.raises(LockError, match="cannot give gamma"):
        Builder(archive, tmp_path).lock(request=wrong)
