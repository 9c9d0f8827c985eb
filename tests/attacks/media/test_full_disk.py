"""A disk that fills up in the middle: the command says so, nothing half has a name, and the same command then works."""

from __future__ import annotations

import io
import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.errors import StoreError
from airgap_bundle.media.delta import write_delta
from airgap_bundle.media.inventory import take_inventory
from airgap_bundle.media.join import join
from airgap_bundle.media.pack import pack
from airgap_bundle.media.unpack import unpack
from airgap_bundle.trust_state import TrustState
from tests.bundles import NOW, Site, make, root_bytes, tree, trust
from tests.media_sets import split_set

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def full_disk(count: int = 60_000) -> Iterator[None]:
    """Writes beyond ``count`` bytes per file fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_packing_leaves_nothing(bundle: Path, tmp_path: Path) -> None:
    before = tree(tmp_path)
    with full_disk(), pytest.raises(StoreError, match="cannot be written"):
        pack(bundle, tmp_path / "out.pack")
    assert tree(tmp_path) == before
    pack(bundle, tmp_path / "out.pack")


def test_splitting_leaves_nothing(bundle: Path, tmp_path: Path) -> None:
    before = tree(tmp_path)
    with full_disk(), pytest.raises(StoreError, match="cannot be written"):
        split_set(bundle, tmp_path / "set")
    assert tree(tmp_path) == before
    split_set(bundle, tmp_path / "set")


def test_unpacking_keeps_what_was_good_and_goes_on(bundle: Path, tmp_path: Path) -> None:
    pack(bundle, tmp_path / "x.pack")
    data = (tmp_path / "x.pack").read_bytes()
    with full_disk(), pytest.raises(StoreError, match="cannot be written"):
        unpack(io.BytesIO(data), tmp_path / "out", trust(), now=NOW)
    assert not (tmp_path / "out").exists()
    unpack(io.BytesIO(data), tmp_path / "out", trust(), now=NOW)


def test_joining_has_no_bundle_and_goes_on(site: Site, bundle: Path, tmp_path: Path) -> None:
    split_set(bundle, tmp_path / "set")
    known = TrustState.load(site.trust)
    with site.unchanged(), full_disk(), pytest.raises(StoreError, match="cannot be written"):
        join([tmp_path / "set"], tmp_path / "out.pack", known, now=NOW)
    assert not (tmp_path / "out.pack").exists()
    assert join([tmp_path / "set"], tmp_path / "out.pack", known, now=NOW).done


def test_a_delta_is_whole_or_not_there(fresh: Site, templates: Path, bundle: Path, tmp_path: Path) -> None:
    fresh.install(templates / "release-1", pin=root_bytes())
    known = take_inventory(fresh.trust, fresh.store, site="first-site", active=None, now=NOW).inventory
    before = tree(tmp_path)
    with full_disk(), pytest.raises(StoreError, match="cannot be written"):
        write_delta(bundle, known, tmp_path / "delta")
    assert tree(tmp_path) == before


def test_importing_a_packed_release_leaves_the_site_as_it_was(site: Site, tmp_path: Path) -> None:
    changed = {"policy": {"models.yaml": bytes(100_000)}}
    pack(make(tmp_path / "big", version="4.0.0", number=4, files=changed), tmp_path / "x.pack")
    with site.unchanged(), full_disk(), pytest.raises(StoreError):
        site.install(tmp_path / "x.pack")
    assert site.install(tmp_path / "x.pack").version == "4.0.0"
