from __future__ import annotations

import fcntl
import os
import stat
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.digest import sha256
from airgap_bundle.errors import DigestMismatchError, FormatError, MissingFileError, StoreError
from airgap_bundle.store import Store
from airgap_bundle.store_record import Record
from airgap_bundle.trust_state import TrustState, fingerprint
from tests.bundles import Site, make, root_bytes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    found = Site(tmp_path / "site")
    found.install(make(tmp_path / "bundle", version="1.0.0", number=1), pin=root_bytes())
    return found


def test_an_imported_release_opens_with_its_artifacts_and_signers(site: Site) -> None:
    release = Store(site.store).open_release("1.0.0")
    assert (release.name, release.number, release.signers) == ("sovereign", 1, ("architect", "builder"))
    assert release.root_fingerprint == fingerprint(root_bytes())
    model = release.artifacts["tiny-model"]
    assert (model.kind, model.version, model.config) == ("model", "1.0.0", {"schema": 1, "name": "tiny-model"})
    weights = model.files["model.gguf"]
    assert sha256(weights.path.read_bytes()) == weights.digest
    assert weights.size == weights.path.stat().st_size


def test_import_returns_what_the_store_opens(site: Site, tmp_path: Path) -> None:
    assert site.install(tmp_path / "bundle") == Store(site.store).open_release("1.0.0")


def test_stored_files_are_readable_by_services_and_writable_by_the_owner_only(site: Site) -> None:
    for path in [*site.store.rglob("*"), *site.trust.iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path


def test_releases_are_listed_by_number(site: Site, tmp_path: Path) -> None:
    site.install(make(tmp_path / "b10", version="1.10.0", number=10))
    site.install(make(tmp_path / "b11", version="1.9.0", number=11))
    assert Store(site.store).releases() == ("1.0.0", "1.10.0", "1.9.0")


def test_an_unknown_release_names_those_that_are_there(site: Site) -> None:
    with pytest.raises(StoreError, match=r"there: 1\.0\.0"):
        Store(site.store).open_release("2.0.0")


def test_a_store_damaged_since_is_noticed_on_opening_and_mended_by_importing(site: Site, tmp_path: Path) -> None:
    store = Store(site.store)
    manifest = store.path(store.open_release("1.0.0").artifacts["policy"].digest)
    whole = manifest.read_bytes()
    manifest.write_bytes(whole + b" ")
    with pytest.raises(DigestMismatchError):
        store.open_release("1.0.0")
    manifest.unlink()
    with pytest.raises(MissingFileError):
        store.open_release("1.0.0")
    site.install(tmp_path / "bundle")
    assert manifest.read_bytes() == whole


def test_a_damaged_record_is_no_release(site: Site) -> None:
    (site.store / "releases/1.0.0.json").write_bytes(b"{}")
    with pytest.raises(StoreError, match=r"record .*1\.0\.0\.json cannot be read"):
        Store(site.store).releases()


def test_a_damaged_record_costs_its_release_alone(site: Site, tmp_path: Path) -> None:
    site.install(make(tmp_path / "second", version="1.1.0", number=2))
    (site.store / "releases/1.1.0.json").write_bytes(b"{}")
    assert Store(site.store).open_release("1.0.0").number == 1
    with pytest.raises(StoreError, match="cannot be read"):
        Store(site.store).open_release("1.1.0")


@pytest.mark.parametrize("version", ["../releases/1.0.0", "", ".", "1.0.0/", "\0", "9.9.9"])
def test_a_version_is_no_path(site: Site, version: str) -> None:
    with pytest.raises(StoreError, match="is not in the store"):
        Store(site.store).open_release(version)


def test_only_digests_are_paths(site: Site) -> None:
    with pytest.raises(FormatError):
        Store(site.store).path("../../etc/passwd")


def test_a_record_reads_back() -> None:
    record = Record("1.0.0", 1, sha256(b"i"), sha256(b"r"), sha256(b"f"), ("architect",))
    assert Record.parse(record.to_bytes()) == record


def test_an_empty_store_has_no_releases(tmp_path: Path) -> None:
    assert Store(tmp_path).releases() == ()


def test_a_second_import_waits_for_nobody_and_changes_nothing(site: Site, tmp_path: Path) -> None:
    holder = os.open(site.trust, os.O_RDONLY)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with site.unchanged(), pytest.raises(StoreError, match="another import is running"):
            site.install(tmp_path / "bundle")
    finally:
        os.close(holder)


def test_an_upgrade_raises_the_floors(site: Site, tmp_path: Path) -> None:
    site.install(make(tmp_path / "next", version="1.1.0", number=4, min_release=3))
    state = TrustState.load(site.trust)
    assert (state.release_number, state.min_release) == (4, 3)
    assert state.versions == {"targets": 4, "snapshot": 4, "timestamp": 4}
