"""Deltas and inventories under attack: what a delta leaves out is hashed in the store, and nothing else counts."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.digest import sha256
from airgap_bundle.errors import DigestMismatchError, MissingFileError, UnlistedFileError
from airgap_bundle.media.delta import write_delta
from airgap_bundle.media.inventory import Inventory, take_inventory
from airgap_bundle.store import Store
from tests.bundles import NOW, Site, blob_file, make, root_bytes, tree
from tests.media_sets import FILES, WEIGHTS

if TYPE_CHECKING:
    from pathlib import Path

GGUF = sha256(b"GGUF" + WEIGHTS)


def inventory_of(site: Site) -> Inventory:
    return take_inventory(site.trust, site.store, site="first-site", active=None, now=NOW).inventory


@pytest.fixture
def delta(site: Site, bundle: Path, tmp_path: Path) -> Path:
    write_delta(bundle, inventory_of(site), tmp_path / "delta")
    assert not blob_file(tmp_path / "delta", GGUF).exists()
    return tmp_path / "delta"


def damage(site: Site, data: bytes) -> None:
    Store(site.store).path(GGUF).write_bytes(data)


def test_a_store_blob_with_other_bytes_refuses_the_delta_and_stays_as_it_is(site: Site, delta: Path) -> None:
    damage(site, bytes(len(WEIGHTS) + 4))
    refused = site.refuses(
        delta, DigestMismatchError, match="in the store was changed, and this delta does not carry it"
    )
    assert "full bundle" in str(refused.hint)


def test_a_store_blob_cut_short_is_missing_by_name(site: Site, delta: Path) -> None:
    damage(site, b"GGUF")
    site.refuses(delta, MissingFileError, match=GGUF.hex)


def test_a_link_in_the_store_is_no_blob(site: Site, delta: Path, tmp_path: Path) -> None:
    path = Store(site.store).path(GGUF)
    shutil.copy(path, tmp_path / "elsewhere")
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    site.refuses(delta, MissingFileError, match=GGUF.hex)


def test_a_store_blob_with_another_name_is_not_taken_on_and_the_next_delta_brings_it(
    site: Site, delta: Path, bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").hardlink_to(Store(site.store).path(GGUF))
    site.refuses(delta, MissingFileError, match=GGUF.hex)
    write_delta(bundle, inventory_of(site), tmp_path / "next")
    site.install(tmp_path / "next")
    assert Store(site.store).path(GGUF).stat().st_nlink == 1


def test_the_full_bundle_mends_what_the_delta_could_not(site: Site, delta: Path, bundle: Path) -> None:
    damage(site, bytes(len(WEIGHTS) + 4))
    site.refuses(delta, DigestMismatchError)
    assert site.install(bundle).version == "3.0.0"


def test_a_delta_at_another_site_is_a_bundle_with_files_missing(fresh: Site, delta: Path, tmp_path: Path) -> None:
    fresh.refuses(delta, MissingFileError, match=r"is missing \(5 more\)", pin=root_bytes())
    other = Site(tmp_path / "other")
    changed = {**FILES, "tiny-model": {"model.gguf": b"GGUF" + bytes(9), "chat_template.jinja": b"{{ prompt }}"}}
    other.install(make(tmp_path / "other-release", version="2.0.0", number=2, files=changed), pin=root_bytes())
    refused = other.refuses(delta, MissingFileError, match=GGUF.hex)
    assert "delta" in str(refused.hint)


def test_an_extra_blob_in_a_delta_is_refused_even_if_the_store_knows_it(site: Site, delta: Path) -> None:
    unused = next(
        digest for digest in inventory_of(site).blobs if not blob_file(delta, digest).exists() and digest != GGUF
    )
    blob_file(delta, sha256(b"extra")).write_bytes(b"extra")
    site.refuses(delta, UnlistedFileError, match=sha256(b"extra").hex)
    blob_file(delta, sha256(b"extra")).unlink()
    foreign = next(
        digest for digest in inventory_of(site).blobs if b"2.0.0" in Store(site.store).path(digest).read_bytes()
    )
    shutil.copy(Store(site.store).path(foreign), blob_file(delta, foreign))
    site.refuses(delta, UnlistedFileError, match=foreign.hex)
    assert unused != foreign


def test_a_wrong_blob_in_a_delta_is_refused_though_the_store_has_the_right_one(site: Site, delta: Path) -> None:
    """The medium's bytes are checked whether or not they are needed."""
    blob_file(delta, GGUF).write_bytes(bytes(len(WEIGHTS) + 4))
    site.refuses(delta, DigestMismatchError, match="holds other bytes than were signed")


def test_a_document_may_not_be_left_out(site: Site, delta: Path) -> None:
    site.install(delta)
    victim = next(path for path in (delta / "blobs/sha256").iterdir() if b"artifactType" in path.read_bytes())
    victim.unlink()
    site.refuses(delta, MissingFileError, match=victim.name)


def test_an_inventory_that_lists_what_is_not_there_makes_a_delta_that_is_refused(
    site: Site, bundle: Path, tmp_path: Path
) -> None:
    known = inventory_of(site)
    policy = sha256(b"schema: 1\nlicences: []\n")
    lie = replace(known, blobs={**known.blobs, policy: len(b"schema: 1\nlicences: []\n")})
    write_delta(bundle, lie, tmp_path / "lying")
    site.refuses(tmp_path / "lying", MissingFileError, match=policy.hex)


def test_an_old_inventory_makes_a_delta_that_is_too_large_and_accepted(
    fresh: Site, templates: Path, bundle: Path, tmp_path: Path
) -> None:
    fresh.install(templates / "release-1", pin=root_bytes())
    old = inventory_of(fresh)
    fresh.install(templates / "release-2")
    write_delta(bundle, old, tmp_path / "old-delta")
    assert blob_file(tmp_path / "old-delta", GGUF).exists()
    assert fresh.install(tmp_path / "old-delta").version == "3.0.0"


def test_an_old_inventory_of_what_has_since_left_the_store_makes_a_delta_that_is_refused(
    site: Site, delta: Path
) -> None:
    Store(site.store).path(GGUF).unlink()
    site.refuses(delta, MissingFileError, match=GGUF.hex)


def test_a_flipped_byte_anywhere_in_a_delta_is_refused(site: Site, delta: Path, tmp_path: Path) -> None:
    for path in sorted(file for file in delta.rglob("*") if file.is_file()):
        good = path.read_bytes()
        path.write_bytes(bytes([good[0] ^ 1]) + good[1:])
        with site.unchanged(), pytest.raises(Exception, match=r".") as caught:
            site.install(delta)
        assert type(caught.value).__module__ == "airgap_bundle.errors"
        path.write_bytes(good)
    before = tree(tmp_path / "delta")
    assert site.install(delta).version == "3.0.0"
    assert tree(tmp_path / "delta") == before
