"""A root's life through import: what a site believes once its persons, or the release key, have changed."""

from __future__ import annotations

import json
import shutil
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.digest import sha256
from airgap_bundle.errors import (
    ForeignRootError,
    NotEnoughSignersError,
    ReleaseConflictError,
    RollbackError,
    SignatureError,
    SigningError,
    TrustStateLostError,
)
from airgap_bundle.metadata import parse_root
from airgap_bundle.signing.root_draft import RootDraft
from airgap_bundle.trust_state import TrustState, fingerprint
from tests.bundles import NOW, Draft, Site, foreign_root, reseal, rewrite, sign
from tests.roots import first, plan, second, signed

if TYPE_CHECKING:
    from pathlib import Path

HISTORY = {1: first()}
TOP = 2**63 - 1


def release(folder: Path, number: int, *names: str, roots: dict[int, bytes] | None = None) -> Path:
    draft = Draft(number=number, version=f"{number}.0.0").write(folder)
    return sign(draft, *names, roots=roots or HISTORY)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site that pinned root 1 and runs release 1."""
    found = Site(tmp_path / "site")
    found.root.mkdir()
    found.install(release(tmp_path / "release-1", 1, "architect", "custodian", "release"), pin=first())
    return found


@cache
def removed() -> dict[int, bytes]:
    """Root 2: custodian, whose keys others have, is gone; deputy is there."""
    return {**HISTORY, 2: signed(second(), "architect", "builder").data}


@cache
def recovered() -> dict[int, bytes]:
    """Root 2: the same persons, and a new release key."""
    new = plan(["architect", "builder", "custodian"], release="release-2")
    return {**HISTORY, 2: signed(RootDraft.successor(HISTORY, new, now=NOW), "architect", "builder").data}


def pinned(site: Site) -> int:
    return int(parse_root(TrustState.load(site.trust).root or b"").signed.version)


def test_a_site_that_pins_root_1_takes_root_2_from_the_bundle(site: Site, tmp_path: Path) -> None:
    site.install(release(tmp_path / "two", 2, "architect", "deputy", "release", roots=removed()))
    state = TrustState.load(site.trust)
    assert state.root == removed()[2]
    assert state.pinned == fingerprint(first()), "what the operator typed stays on record"
    site.install(release(tmp_path / "three", 3, "builder", "deputy", "release", roots=removed()))
    assert pinned(site) == 2


def test_the_release_that_a_site_holds_teaches_it_a_new_root_when_it_is_signed_again(
    site: Site, tmp_path: Path
) -> None:
    again = release(tmp_path / "again", 1, "architect", "deputy", "release", roots=removed())
    site.install(again)
    assert pinned(site) == 2
    site.refuses(release(tmp_path / "two", 2, "architect", "custodian", "release"), RollbackError)
    with site.unchanged():
        site.install(again)


def test_a_site_two_roots_behind_follows_the_whole_chain(site: Site, tmp_path: Path) -> None:
    later = RootDraft.successor(removed(), plan(["architect", "deputy"], release="release-2"), now=NOW)
    roots = {**removed(), 3: signed(later, "architect", "deputy").data}
    site.install(release(tmp_path / "two", 2, "architect", "deputy", "release-2", roots=roots))
    assert pinned(site) == 3


def test_the_removed_signer_counts_no_longer_whatever_date_is_claimed(site: Site, tmp_path: Path) -> None:
    site.install(release(tmp_path / "two", 2, "architect", "deputy", "release", roots=removed()))
    bundle = release(tmp_path / "three", 3, "architect", "deputy", "release", roots=removed())

    def long_ago(signed: dict[str, Any]) -> None:
        signed["x-sovereign-issued"] = "2020-01-01T00:00:00Z"

    rewrite(bundle / "metadata/targets.json", long_ago, "architect", "custodian")
    reseal(bundle)
    site.refuses(bundle, SignatureError, match="does not name")


def test_a_bundle_under_the_old_root_is_refused_though_it_was_signed_in_time(site: Site, tmp_path: Path) -> None:
    late = release(tmp_path / "late", 5, "architect", "custodian", "release")
    site.install(release(tmp_path / "two", 2, "architect", "deputy", "release", roots=removed()))
    site.refuses(late, RollbackError, match="roots end at version 1; this site trusts version 2")


def test_the_removed_signer_does_not_sign_beside_the_new_root(tmp_path: Path) -> None:
    bundle = Draft().write(tmp_path / "bundle")
    with pytest.raises(SigningError, match="does not know the keys of custodian"):
        sign(bundle, "custodian", roots=removed())


def test_a_release_that_the_removed_signer_has_signed_does_not_take_the_new_root(tmp_path: Path) -> None:
    bundle = sign(Draft().write(tmp_path / "bundle"), "custodian", roots=HISTORY)
    with pytest.raises(SignatureError, match="does not name"):
        sign(bundle, "architect", roots=removed())


def test_the_removed_signer_and_one_more_cannot_undo_it(site: Site, tmp_path: Path) -> None:
    site.install(release(tmp_path / "two", 2, "architect", "deputy", "release", roots=removed()))
    rival = signed(second(("builder", "custodian")), "builder", "custodian").data
    bundle = release(tmp_path / "rival", 3, "builder", "custodian", "release", roots={**HISTORY, 2: rival})
    site.refuses(bundle, ForeignRootError, match="is not the one that this site trusts")


def test_a_draft_that_too_few_signed_is_no_root(site: Site, tmp_path: Path) -> None:
    draft = signed(second(), "architect", "deputy")
    bundle = release(tmp_path / "two", 2, "architect", "builder", "release")
    (bundle / "metadata/2.root.json").write_bytes(draft.data)
    site.refuses(bundle, NotEnoughSignersError, match="1 of 2")


@pytest.mark.parametrize("role", ["snapshot", "timestamp"])
def test_8_recovery_from_a_fast_forward_through_import(site: Site, tmp_path: Path, role: str) -> None:
    """Whoever stole the release key drives versions up; a root with a new release key makes the floors start anew."""
    stolen = release(tmp_path / "stolen", 2, "architect", "builder", "release")
    if role == "timestamp":
        rewrite(stolen / "metadata/timestamp.json", lambda signed: signed.update(version=TOP), "release")
    else:
        rewrite(stolen / "metadata/snapshot.json", lambda signed: signed.update(version=TOP), "release")
        _restamp(stolen)
    site.install(stolen)
    assert TrustState.load(site.trust).versions[role] == TOP
    site.refuses(
        release(tmp_path / "stuck", 3, "architect", "builder", "release"),
        RollbackError,
        match=f"{role} version 3 is below",
    )
    site.install(release(tmp_path / "free", 4, "architect", "builder", "release-2", roots=recovered()))
    assert TrustState.load(site.trust).versions == {"targets": 4, "snapshot": 4, "timestamp": 4}
    again = release(tmp_path / "again", 3, "architect", "builder", "release-2", roots=recovered())
    site.refuses(again, RollbackError, match="below 4")


def test_8_the_stolen_release_key_does_nothing_after_the_recovery(site: Site, tmp_path: Path) -> None:
    site.install(release(tmp_path / "free", 2, "architect", "builder", "release-2", roots=recovered()))
    bundle = release(tmp_path / "next", 3, "architect", "builder", "release-2", roots=recovered())
    reseal(bundle, seal="release")
    site.refuses(bundle, SignatureError, match="does not name")


def test_8_a_root_that_keeps_the_release_key_frees_nobody(site: Site, tmp_path: Path) -> None:
    stolen = release(tmp_path / "stolen", 2, "architect", "builder", "release")
    rewrite(stolen / "metadata/timestamp.json", lambda signed: signed.update(version=TOP), "release")
    site.install(stolen)
    stuck = release(tmp_path / "stuck", 3, "architect", "deputy", "release", roots=removed())
    site.refuses(stuck, RollbackError, match="timestamp version 3 is below")


def test_when_k_signers_are_lost_a_new_root_is_typed_and_the_release_floor_stays(site: Site, tmp_path: Path) -> None:
    """The operator takes the trust state away and types the fingerprint of a root that the old one knows nothing of."""
    new = {1: foreign_root()}
    bundle = release(tmp_path / "new", 2, "outsider", "stranger", "other", roots=new)
    site.refuses(bundle, ForeignRootError)
    site.refuses(bundle, ForeignRootError, pin=foreign_root())
    shutil.rmtree(site.trust)
    site.refuses(bundle, TrustStateLostError)
    twin = sign(Draft(version="0.9.0").write(tmp_path / "twin"), "outsider", "stranger", "other", roots=new)
    site.refuses(twin, ReleaseConflictError, match="another release with number 1", pin=foreign_root())
    site.install(bundle, pin=foreign_root())
    assert TrustState.load(site.trust).root == foreign_root()


def _restamp(bundle: Path) -> None:
    """Bind the snapshot as it lies there, as the holder of the release key can."""
    data = (bundle / "metadata/snapshot.json").read_bytes()

    def bind(signed: dict[str, Any]) -> None:
        version = json.loads(data)["signed"]["version"]
        signed["meta"]["snapshot.json"] = {
            "version": version,
            "length": len(data),
            "hashes": {"sha256": sha256(data).hex},
        }

    rewrite(bundle / "metadata/timestamp.json", bind, "release")
