"""Bundles of models: what a site takes in between releases, from whom, and what it learns."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.digest import sha256
from airgap_bundle.errors import (
    DigestMismatchError,
    ExpiredError,
    HalfSignatureError,
    MalformedError,
    NotEnoughSignersError,
    NotGrantedError,
    RootPolicyError,
    SignatureError,
    SigningError,
    StoreError,
    TrustStateLostError,
    UnlistedFileError,
    UnsignedError,
)
from airgap_bundle.model_bundle import SHELF, verify_models
from airgap_bundle.recheck import recheck
from airgap_bundle.sign_models import sign_models
from airgap_bundle.store import Store
from airgap_bundle.trust_state import TrustState
from tests import bundles, model_bundles
from tests.model_bundles import OFFICERS, Site

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site that installed release 1 under root 1 and knows of no grant."""
    found = Site(tmp_path / "site")
    found.install(bundles.make(tmp_path / "release"), pin=bundles.root_bytes())
    return found


def test_models_come_in_under_the_grant_that_the_bundle_brings(site: Site, tmp_path: Path) -> None:
    before = TrustState.load(site.trust)
    found = site.take(model_bundles.make(tmp_path / "models"))
    assert (found.signers, found.number, list(found.artifacts)) == (OFFICERS, 1, ["tiny-model"])
    learnt = TrustState.load(site.trust)
    assert learnt.root == model_bundles.granting_root()
    assert learnt.versions == {**before.versions, "models": 1}
    assert (learnt.release_number, learnt.release_digest) == (before.release_number, before.release_digest)
    assert Store(site.store).releases() == ("1.0.0",)
    assert Store(site.store, SHELF).open_release("1.0.1").artifacts.keys() == {"tiny-model"}


def test_the_same_bundle_again_changes_no_byte(site: Site, tmp_path: Path) -> None:
    bundle = model_bundles.make(tmp_path / "models")
    site.take(bundle)
    with site.unchanged():
        site.take(bundle)


def test_a_store_that_is_checked_again_is_checked_with_its_models(site: Site, tmp_path: Path) -> None:
    site.take(model_bundles.make(tmp_path / "models"))
    assert recheck(Store(site.store)).releases == ("1.0.0", "models 1.0.1")
    weights = Store(site.store).path(str(sha256(model_bundles.FILES["tiny-model"]["model.gguf"])))
    weights.write_bytes(bytes(2004))
    with pytest.raises(DigestMismatchError):
        recheck(Store(site.store))


def test_the_report_names_who_may_still_sign(tmp_path: Path) -> None:
    bundle = bundles.Draft(files=model_bundles.FILES).write(tmp_path / "models")
    model_bundles.sign(bundle, "custodian")
    report = verify_models(bundle, bundles.trust(), now=bundles.NOW)
    assert not report.ok
    assert (report.signers, report.waiting_for) == (("custodian",), ("deputy",))


def test_a_bundle_that_nobody_signed_is_refused(site: Site, tmp_path: Path) -> None:
    bundle = model_bundles.make(tmp_path / "models")
    (bundle / "metadata/models.json").unlink()
    site.refuses_models(bundle, UnsignedError, "models.json is missing")


def test_one_officer_of_two_is_not_enough(site: Site, tmp_path: Path) -> None:
    bundle = bundles.Draft(files=model_bundles.FILES, version="1.0.1").write(tmp_path / "models")
    site.refuses_models(model_bundles.sign(bundle, "custodian"), NotEnoughSignersError, "1 of 2")


def test_half_of_the_signatures_is_none(site: Site, tmp_path: Path) -> None:
    path = model_bundles.make(tmp_path / "models") / "metadata/models.json"
    value = json.loads(path.read_bytes())
    ed25519 = {key.keyid for name in OFFICERS for key in bundles.signer(name).public.keys if key.keytype == "ed25519"}
    value["signatures"] = [s for s in value["signatures"] if s["keyid"] in ed25519]
    path.write_bytes(json.dumps(value).encode())
    site.refuses_models(path.parents[1], HalfSignatureError)


def test_those_who_sign_releases_do_not_sign_models(site: Site, tmp_path: Path) -> None:
    bundle = bundles.Draft(files=model_bundles.FILES, version="1.0.1").write(tmp_path / "models")
    with pytest.raises(SigningError, match="does not let architect bring models"):
        sign_models(bundle, bundles.signer("architect"), now=bundles.NOW, roots=model_bundles.roots())
    site.refuses_models(model_bundles.forge(bundle, "architect", "builder"), SignatureError, "does not name for it")


def test_a_root_without_a_grant_lets_nobody_bring_models(site: Site, tmp_path: Path) -> None:
    bundle = model_bundles.make(tmp_path / "models")
    (bundle / "metadata/2.root.json").unlink()
    site.refuses_models(bundle, NotGrantedError, "root 1 lets nobody")
    with pytest.raises(NotGrantedError):
        model_bundles.sign(
            bundles.Draft(files=model_bundles.FILES).write(tmp_path / "other"),
            "custodian",
            chain={1: bundles.root_bytes()},
        )


def test_the_targets_of_a_release_do_not_pass_for_models_though_the_same_people_may_sign_both(
    site: Site, tmp_path: Path
) -> None:
    chain = {1: bundles.root_bytes(), 2: model_bundles.granting(names=("architect", "builder"))}
    bundle = bundles.Draft(files=model_bundles.FILES, version="1.0.1").write(tmp_path / "release-of-models")
    bundles.sign(bundle, "architect", "builder", "release", roots=chain)
    for seal in ("snapshot", "timestamp"):
        (bundle / f"metadata/{seal}.json").unlink()
    (bundle / "metadata/targets.json").rename(bundle / "metadata/models.json")
    site.refuses_models(bundle, MalformedError, "models/index.json")


def test_a_bundle_of_models_does_not_pass_for_a_release(site: Site, tmp_path: Path) -> None:
    bundle = model_bundles.make(tmp_path / "models", number=7)
    site.refuses(bundle, UnsignedError)
    (bundle / "metadata/models.json").rename(bundle / "metadata/targets.json")
    site.refuses(bundle, MalformedError)


def test_nothing_but_models_comes_in_by_the_grant(site: Site, tmp_path: Path) -> None:
    files = {**model_bundles.FILES, "policy": {"models.yaml": b"schema: 1\n"}}
    bundle = bundles.Draft(files=files, version="1.0.1").write(tmp_path / "models")
    with pytest.raises(SigningError, match="policy is a policy"):
        model_bundles.sign(bundle, "custodian")
    site.refuses_models(model_bundles.forge(bundle, *OFFICERS), NotGrantedError, "policy is a policy")


@pytest.mark.parametrize("what", ["blob", "index", "extra"])
def test_what_was_changed_on_the_way_is_refused(site: Site, tmp_path: Path, what: str) -> None:
    bundle = model_bundles.make(tmp_path / "models")
    if what == "extra":
        (bundle / "extra").write_bytes(b"x")
        site.refuses_models(bundle, UnlistedFileError)
        return
    largest = max((bundle / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    path = largest if what == "blob" else bundle / "index.json"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    site.refuses_models(bundle, DigestMismatchError)


def test_support_that_has_ended_is_refused(site: Site, tmp_path: Path) -> None:
    bundle = model_bundles.make(tmp_path / "models")
    site.refuses_models(bundle, ExpiredError, now=bundles.SUPPORT_UNTIL + timedelta(days=1))


def test_what_the_site_does_not_accept_leaves_nothing(site: Site, tmp_path: Path) -> None:
    seen: list[list[bytes]] = []

    def decline(found: Any) -> None:
        seen.append([stored.path.read_bytes() for stored in found.artifacts["tiny-model"].files.values()])
        raise LookupError("not here")

    with site.unchanged(), pytest.raises(LookupError, match="not here"):
        site.take(model_bundles.make(tmp_path / "models"), accept=decline)
    assert sorted(seen[0]) == sorted(model_bundles.FILES["tiny-model"].values())


def test_a_disk_without_room_is_told_before_anything_is_written(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = model_bundles.make(tmp_path / "models")
    full = os.statvfs_result((4096, 4096, 100, 0, 0, 100, 100, 100, 0, 255))
    monkeypatch.setattr("airgap_bundle.intake.os.statvfs", lambda _path: full)
    site.refuses_models(bundle, StoreError, "bytes more, 0 are free")


def test_a_site_that_trusts_nobody_yet_takes_no_models(tmp_path: Path) -> None:
    bundle = model_bundles.make(tmp_path / "models")
    with pytest.raises(TrustStateLostError):
        Site(tmp_path / "fresh").take(bundle)
    assert not (tmp_path / "fresh").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"paths": ["*"]},
        {"name": "targets"},
        {"terminating": False},
        {"threshold": 3},
        {"threshold": 6},
        {"keyids": []},
        {"keyids": ["0" * 64, "1" * 64], "threshold": 2},
        {"more": 1},
    ],
)
def test_a_grant_of_another_shape_makes_the_root_unsound(site: Site, tmp_path: Path, change: dict[str, Any]) -> None:
    bundle = model_bundles.make(tmp_path / "models")
    path = bundle / "metadata/2.root.json"
    bundles.rewrite(path, lambda signed: signed["x-sovereign-models"].update(change), "architect", "builder")
    with site.unchanged(), pytest.raises((MalformedError, RootPolicyError)):
        site.take(bundle)


def test_a_signature_made_before_the_bundle_was_built_again_is_not_added_to(tmp_path: Path) -> None:
    bundle = bundles.Draft(files=model_bundles.FILES).write(tmp_path / "models")
    model_bundles.sign(bundle, "custodian")
    release = json.loads((bundle / "release.json").read_bytes())
    (bundle / "release.json").write_text(json.dumps({**release, "version": "6.6.6"}))
    before = bundles.tree(bundle)
    with pytest.raises(SigningError):
        model_bundles.sign(bundle, "deputy")
    assert bundles.tree(bundle) == before
