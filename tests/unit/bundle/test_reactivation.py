"""Rollback, as far as trust goes: what this site verified, not below the signed bound, whole; and nothing is learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airgap_bundle.errors import DigestMismatchError, MissingFileError, RollbackError, StoreError
from airgap_bundle.reactivation import may_return, reactivate
from airgap_bundle.store import Store
from airgap_bundle.trust_state import TrustState
from tests.bundles import Site, make, root_bytes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site that imported releases 1, 2 and 3; the last was signed with a lower bound of 2."""
    found = Site(tmp_path / "site")
    for number in (1, 2, 3):
        bundle = make(tmp_path / f"b{number}", version=f"{number}.0.0", number=number, min_release=max(1, number - 1))
        found.install(bundle, pin=root_bytes() if number == 1 else None)
    return found


def asked(site: Site, version: str) -> str:
    return reactivate(Store(site.store), TrustState.load(site.trust), version).version


def test_a_release_that_was_imported_may_return_and_the_site_learns_nothing_by_it(site: Site, tmp_path: Path) -> None:
    with site.unchanged():
        assert asked(site, "2.0.0") == "2.0.0"
        assert [r.version for r in may_return(Store(site.store), TrustState.load(site.trust))] == ["2.0.0", "3.0.0"]
    site.refuses(tmp_path / "b2", RollbackError, match="below 3")


def test_one_below_the_bound_that_a_newer_release_was_signed_with_does_not_return(site: Site) -> None:
    with site.unchanged(), pytest.raises(RollbackError, match="number 1, below 2"):
        asked(site, "1.0.0")


def test_what_was_never_imported_does_not_come_this_way(site: Site) -> None:
    for version in ("2.5.0", "../trust", ""):
        with site.unchanged(), pytest.raises(StoreError):
            asked(site, version)


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_store_that_no_longer_holds_what_was_signed_is_refused(site: Site, damage: str) -> None:
    store = Store(site.store)
    largest = max(store.contents(store.record("2.0.0")).blobs.items(), key=lambda item: item[1])[0]
    path = store.path(largest)
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(bytes(path.stat().st_size))
    with site.unchanged(), pytest.raises(MissingFileError if damage == "gone" else DigestMismatchError) as refused:
        asked(site, "2.0.0")
    assert "bring its bundle again" in str(refused.value.hint)


def test_a_damaged_record_does_not_return_and_hides_no_other(site: Site) -> None:
    Store(site.store).record_path("2.0.0").write_bytes(b"{}")
    with pytest.raises(StoreError, match=r"2\.0\.0"):
        asked(site, "2.0.0")
    assert [r.version for r in may_return(Store(site.store), TrustState.load(site.trust))] == ["3.0.0"]
    assert asked(site, "3.0.0") == "3.0.0"
