from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.digest import sha256
from airgap_bundle.errors import FormatError, RollbackError, StoreError, TrustStateLostError
from airgap_bundle.inspection import claimed_size, inspect_bundle
from airgap_bundle.media.delta import compare, write_delta
from airgap_bundle.media.inventory import Inventory, take_inventory
from airgap_bundle.media.join import join
from airgap_bundle.media.pack import pack
from airgap_bundle.media.unpack import unpack
from airgap_bundle.store import Store
from airgap_bundle.supply import StoreSupply
from airgap_bundle.trust_state import TrustState, fingerprint
from airgap_bundle.verify import verify
from tests.bundles import NOW, Site, make, root_bytes, tree, trust
from tests.media_sets import FILES, WEIGHTS, split_set

if TYPE_CHECKING:
    from pathlib import Path

NEXT = {**FILES, "policy": {"models.yaml": b"schema: 1\nlicences: []\n"}}


def inventory_of(site: Site) -> Inventory:
    return take_inventory(site.trust, site.store, site="first-site", active="1.0.0", now=NOW).inventory


@pytest.fixture
def site(bundle: Path, tmp_path: Path) -> Site:
    found = Site(tmp_path / "site")
    found.install(bundle, pin=root_bytes())
    return found


@pytest.fixture
def following(tmp_path: Path) -> Path:
    """Release 2: one line of the policy is new."""
    return make(tmp_path / "release-2", version="2.0.0", number=2, files=NEXT)


@pytest.fixture
def delta(site: Site, following: Path, tmp_path: Path) -> Path:
    write_delta(following, inventory_of(site), tmp_path / "delta")
    return tmp_path / "delta"


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_an_inventory_says_what_is_there_and_reads_back(site: Site) -> None:
    found = inventory_of(site)
    assert Inventory.parse(found.to_bytes()) == found
    assert found.blobs[sha256(b"GGUF" + WEIGHTS)] == len(WEIGHTS) + 4
    assert (found.root, found.root_fingerprint, found.floor, found.releases) == (
        1,
        fingerprint(root_bytes()),
        1,
        ("1.0.0",),
    )
    with site.unchanged():
        inventory_of(site)


def test_a_damaged_blob_is_left_out_so_that_the_next_delta_mends_it(
    site: Site, following: Path, tmp_path: Path
) -> None:
    weights = Store(site.store).path(sha256(b"GGUF" + WEIGHTS))
    weights.write_bytes(bytes(len(WEIGHTS) + 4))
    taken = take_inventory(site.trust, site.store, site="first-site", active=None, now=NOW)
    assert taken.damaged == (sha256(b"GGUF" + WEIGHTS),)
    write_delta(following, taken.inventory, tmp_path / "delta")
    site.install(tmp_path / "delta")
    assert weights.read_bytes() == b"GGUF" + WEIGHTS


def test_a_site_without_trust_state_has_no_inventory(tmp_path: Path) -> None:
    with pytest.raises(TrustStateLostError):
        take_inventory(tmp_path / "trust", tmp_path / "store", site="first-site", active=None, now=NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"site": "A B"},
        {"blobs": {"x": 1}},
        {"blobs": {"0" * 64: -1}},
        {"root": {}},
        {"made": "now"},
        {"releases": ["../x"]},
        {"floor": True},
    ],
)
def test_an_inventory_with_hostile_values_is_refused(site: Site, change: dict[str, object]) -> None:
    value = {**json.loads(inventory_of(site).to_bytes()), **change}
    with pytest.raises(Exception, match=r".") as caught:
        Inventory.parse(json.dumps(value).encode())
    assert type(caught.value).__name__ in {"FormatError", "UnsafeNameError"}


def test_a_delta_is_what_the_site_lacks_and_makes_the_same_release(
    site: Site, following: Path, delta: Path, tmp_path: Path
) -> None:
    assert size(delta) < size(following) - len(WEIGHTS)
    full = Site(tmp_path / "full")
    full.install(following, pin=root_bytes())
    release = site.install(delta)
    assert release.digest == full.install(following).digest
    for artifact in release.artifacts.values():
        for file in artifact.files.values():
            assert sha256(file.path.read_bytes()) == file.digest
    state, other = TrustState.load(site.trust), TrustState.load(full.trust)
    assert (state.release_digest, state.release_number) == (other.release_digest, other.release_number)


def test_importing_a_delta_again_changes_no_byte(site: Site, delta: Path) -> None:
    site.install(delta)
    before = tree(site.root)
    site.install(delta)
    assert tree(site.root) == before


def test_verify_says_where_the_other_blobs_lie(site: Site, delta: Path) -> None:
    report = verify(delta, TrustState.load(site.trust), now=NOW, supply=StoreSupply(Store(site.store)))
    assert report.ok
    assert "blobs lie in the site's store" in next(check.detail for check in report.checks if check.name == "file list")
    assert not verify(delta, TrustState.load(site.trust), now=NOW).ok
    found = inspect_bundle(delta, trust(), now=NOW)
    assert found.verified
    assert "a delta: " in found.verdict


def test_a_delta_travels_packed_and_in_parts(site: Site, delta: Path, tmp_path: Path) -> None:
    done = pack(delta, tmp_path / "delta.pack")
    assert done.lacking > 0
    unpacked = unpack(io.BytesIO((tmp_path / "delta.pack").read_bytes()), tmp_path / "again", trust(), now=NOW)
    assert unpacked.lacking == done.lacking
    split_set(delta, tmp_path / "set")
    assert join([tmp_path / "set"], tmp_path / "joined.pack", TrustState.load(site.trust), now=NOW).done
    assert (tmp_path / "joined.pack").read_bytes() == (tmp_path / "delta.pack").read_bytes()
    assert site.install(tmp_path / "joined.pack").version == "2.0.0"


def test_room_is_asked_for_the_whole_release_though_little_is_carried(following: Path, delta: Path) -> None:
    assert claimed_size(delta) == claimed_size(following) > len(WEIGHTS) > size(delta)


def test_diff_says_what_is_new_and_what_falls_out_of_use(site: Site, following: Path) -> None:
    found = compare(following, inventory_of(site))
    assert {row.name: row.new > 0 for row in found.artifacts} == {"policy": True, "tiny-model": False}
    assert found.held >= len(WEIGHTS)
    assert found.unused >= len(b"schema: 1\n")
    assert found.carried < found.new + found.held
    assert (found.site, found.active, found.made) == ("first-site", "1.0.0", "2026-06-01T12:00:00Z")


def test_the_release_that_a_site_has_needs_no_blobs(site: Site, bundle: Path) -> None:
    assert compare(bundle, inventory_of(site)).new == 0


def test_what_the_site_would_refuse_is_not_carried_to_it(site: Site, following: Path, tmp_path: Path) -> None:
    known = inventory_of(site)
    for other in (replace(known, floor=3), replace(known, root=2)):
        with pytest.raises(RollbackError):
            write_delta(following, other, tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


def test_a_blob_listed_with_another_size_travels(site: Site, following: Path, tmp_path: Path) -> None:
    known = inventory_of(site)
    weights = sha256(b"GGUF" + WEIGHTS)
    write_delta(following, replace(known, blobs={**known.blobs, weights: 5}), tmp_path / "out")
    assert (tmp_path / "out/blobs/sha256" / weights.hex).exists()


def test_no_delta_is_written_over_a_folder(site: Site, following: Path, delta: Path) -> None:
    before = tree(delta)
    with pytest.raises(StoreError, match="exists"):
        write_delta(following, inventory_of(site), delta)
    assert tree(delta) == before


def test_an_inventory_of_another_schema_is_refused(site: Site) -> None:
    with pytest.raises(FormatError, match="schema"):
        Inventory.parse(inventory_of(site).to_bytes().replace(b'"schema":1', b'"schema":2'))
