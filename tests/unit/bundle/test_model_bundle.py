"""Bundles of models: what a site takes in between releases, from whom, and what it learns."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.digest import sha256
from airgap_bundle.errors import (
    DigestMismatchError,
    ExpiredError,
    HalfSignatureError,
    MalformedError,
    MixedMetadataError,
    NotEnoughSignersError,
    NotGrantedError,
    ReleaseConflictError,
    RollbackError,
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
from airgap_bundle.trust_state import TrustState, fingerprint
from tests import bundles, model_bundles
from tests.model_bundles import OFFICERS, Site

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.errors import BundleError


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site that installed release 1 under root 1 and knows of no grant."""
    found = Site(tmp_path / "site")
    found.install(bundles.make(tmp_path / "release"), pin=bundles.root_bytes())
    return found


def refuses(site: Site, bundle: Path, error: type[BundleError], match: str | None = None, **more: Any) -> None:
    with site.unchanged(), pytest.raises(error, match=match) as caught:
        site.take(bundle, **more)
    assert type(caught.value) is error, caught.value


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


def test_a_release_after_it_keeps_the_floor_of_models(site: Site, tmp_path: Path) -> None:
    site.take(model_bundles.make(tmp_path / "models", number=5))
    later = bundles.Draft(version="1.1.0", number=2).write(tmp_path / "later")
    site.install(bundles.sign(later, "architect", "builder", "release", roots=model_bundles.roots()))
    refuses(site, model_bundles.make(tmp_path / "older", number=4, version="0.9.0"), RollbackError)


def test_the_report_names_who_may_still_sign(tmp_path: Path) -> None:
    bundle = bundles.Draft(files=model_bundles.FILES).write(tmp_path / "models")
    model_bundles.sign(bundle, "custodian")
    report = verify_models(bundle, bundles.trust(), now=bundles.NOW)
    assert not report.ok
    assert (report.signers, report.waiting_for) == (("custodian",), ("deputy",))


def test_a_bundle_that_nobody_signed_is_refused(site: Site, tmp_path: Path) -> None:
    bundle = model_bundles.make(tmp_path / "models")
    (bundle / "metadata/models.json").unlink()
    refuses(site, bundle, UnsignedError, "models.json is missing")


def test_one_officer_of_two_is_not_enough(site: Site, tmp_path: Path) -> None:
    bundle = bundles.Draft(files=model_bundles.FILES, version="1.0.1").write(tmp_path / "models")
    refuses(site, model_bundles.sign(bundle, "custodian"), NotEnoughSignersError, "1 of 2")


def test_half_of_the_signatures_is_none(site: Site, tmp_path: Path) -> None:
    path = model_bundles.make(tmp_path / "models") / "metadata/models.json"
    value = json.loads(path.read_bytes())
    ed25519 = {key.keyid for name in OFFICERS for key in bundles.signer(name).public.keys if key.keytype == "ed25519"}
    value["signatures"] = [s for s in value["signatures"] if s["keyid"] in ed25519]
    path.write_bytes(json.dumps(value).encode())
    refuses(site, path.parents[1], HalfSignatureError)


def test_those_who_sign_releases_do_not_sign_models(site: Site, tmp_path: Path) -> None:
    bundle = bundles.Draft(files=model_bundles.FILES, version="1.0.1").write(tmp_path / "models")
    with pytest.raises(SigningError, match="does not let architect bring models"):
        sign_models(bundle, bundles.signer("architect"), now=bundles.NOW, roots=model_bundles.roots())
    refuses(site, model_bundles.forge(bundle, "architect", "builder"), SignatureError, "does not name for it")


def test_a_root_without_a_grant_lets_nobody_bring_models(site: Site, tmp_path: Path) -> None:
    bundle = model_bundles.make(tmp_path / "models")
    (bundle / "metadata/2.root.json").unlink()
    refuses(site, bundle, NotGrantedError, "root 1 lets nobody")
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
    refuses(site, bundle, MalformedError, "models/index.json")


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
    refuses(site, model_bundles.forge(bundle, *OFFICERS), NotGrantedError, "policy is a policy")


def test_an_older_bundle_is_refused_and_another_of_the_same_number_too(site: Site, tmp_path: Path) -> None:
    site.take(model_bundles.make(tmp_path / "second", number=2, version="1.0.2"))
    refuses(site, model_bundles.make(tmp_path / "first", number=1), RollbackError)
    refuses(site, model_bundles.make(tmp_path / "twin", number=2, version="1.0.3"), ReleaseConflictError)
    refuses(site, model_bundles.make(tmp_path / "namesake", number=3, version="1.0.2"), ReleaseConflictError)


def test_new_persons_for_models_make_its_floor_start_anew_and_no_other(site: Site, tmp_path: Path) -> None:
    site.take(model_bundles.make(tmp_path / "high", number=900, min_release=900, version="9.0.0"))
    before = TrustState.load(site.trust)
    chain = {**model_bundles.roots(), 3: model_bundles.granting(3, ("custodian", "stranger"))}
    low = bundles.Draft(files=model_bundles.FILES, version="1.0.1", number=2).write(tmp_path / "low")
    site.take(model_bundles.sign(low, "custodian", "stranger", chain=chain))
    learnt = TrustState.load(site.trust)
    assert learnt.versions == {**before.versions, "models": 2}
    assert (learnt.models_min, learnt.release_number) == (1, before.release_number)


def test_an_ended_bundle_does_not_return_with_a_root_that_adds_a_person(site: Site, tmp_path: Path) -> None:
    ended = model_bundles.make(tmp_path / "ended", number=1)
    site.take(ended)
    last = model_bundles.make(tmp_path / "last", number=3, min_release=3, version="1.0.3")
    site.take(last)
    added = model_bundles.granting(3, (*OFFICERS, "outsider"))
    for bundle in (ended, last):
        (bundle / "metadata/3.root.json").write_bytes(added)
    refuses(site, ended, RollbackError, "signed under root 2")
    refuses(site, last, RollbackError, "signed under root 2")
    (last / "metadata/models.json").unlink()
    site.take(model_bundles.sign(last, *OFFICERS))  # who signed it may still sign
    state = TrustState.load(site.trust)
    assert (state.versions["models"], state.models_min) == (3, 3)
    assert state.models_roots == (fingerprint(added),)
    refuses(site, ended, RollbackError)


def test_what_was_signed_before_the_grant_went_and_came_back_does_not_return(site: Site, tmp_path: Path) -> None:
    old = model_bundles.make(tmp_path / "old")
    site.take(old)
    roots = {**model_bundles.roots(), **model_bundles.back_again()}
    others = bundles.Draft(files=model_bundles.FILES, version="2.0.0").write(tmp_path / "others")
    site.take(model_bundles.sign(others, "outsider", "stranger", chain={v: roots[v] for v in (1, 2, 3)}))
    for version in (3, 4):
        (old / f"metadata/{version}.root.json").write_bytes(roots[version])
    refuses(site, old, RollbackError, "signed under root 2, and root 4 is in force")
    release = bundles.Draft(version="1.1.0", number=2).write(tmp_path / "later")
    site.install(bundles.sign(release, "architect", "builder", "release", roots=roots))
    assert "models" not in TrustState.load(site.trust).versions  # no floor is left that could refuse it
    refuses(site, old, RollbackError, "signed under root 2, and root 4 is in force")


def test_a_site_that_sees_two_changes_of_the_grant_at_once_learns_what_one_learns_that_sees_each(
    tmp_path: Path,
) -> None:
    roots = {**model_bundles.roots(), **model_bundles.back_again()}
    learnt: list[TrustState] = []
    for steps in ((3, 4), (4,)):
        site = Site(tmp_path / f"site-{steps[0]}")
        site.install(bundles.make(tmp_path / f"release-{steps[0]}"), pin=bundles.root_bytes())
        site.take(model_bundles.make(tmp_path / f"high-{steps[0]}", number=900, min_release=900, version="9.0.0"))
        for last in steps:
            again = bundles.Draft(version=f"1.{last}.0", number=last).write(tmp_path / f"again-{steps[0]}-{last}")
            chain = {version: data for version, data in roots.items() if version <= last}
            site.install(bundles.sign(again, "architect", "builder", "release", roots=chain))
        learnt.append(replace(TrustState.load(site.trust), sequence=0))
    assert learnt[0] == learnt[1]
    assert (learnt[0].models_min, learnt[0].models_roots, learnt[0].versions.get("models")) == (0, (), None)


@pytest.mark.parametrize(
    ("named", "error"),
    [
        (None, MalformedError),
        ({"version": 2}, MalformedError),
        ({"version": True, "sha256": "0" * 64}, MalformedError),
        ({"version": 0, "sha256": "0" * 64}, MalformedError),
        ({"version": 2, "sha256": "0" * 63}, MalformedError),
        ({"version": 2, "sha256": "0" * 64, "more": 1}, MalformedError),
        ({"version": 2, "sha256": "0" * 64}, MixedMetadataError),
        ({"version": 3, "sha256": "0" * 64}, MixedMetadataError),
        ({"version": 1, "sha256": "0" * 64}, RollbackError),
    ],
)
def test_models_name_the_root_in_force_and_nothing_else(
    site: Site, tmp_path: Path, named: dict[str, Any] | None, error: type[BundleError]
) -> None:
    bundle = model_bundles.make(tmp_path / "models")
    bundles.rewrite(
        bundle / "metadata/models.json", lambda signed: signed.update({"x-sovereign-root": named}), *OFFICERS
    )
    refuses(site, bundle, error)


def test_a_signature_under_an_earlier_root_is_not_added_to(tmp_path: Path) -> None:
    bundle = bundles.Draft(files=model_bundles.FILES).write(tmp_path / "models")
    model_bundles.sign(bundle, "custodian")
    before = bundles.tree(bundle)
    later = {**model_bundles.roots(), 3: model_bundles.granting(3, (*OFFICERS, "outsider"))}
    with pytest.raises(SigningError, match="counts under root 2 alone, and root 3 is here"):
        model_bundles.sign(bundle, "deputy", chain=later)
    assert bundles.tree(bundle) == before


def test_whoever_left_the_grant_signs_nothing_more(site: Site, tmp_path: Path) -> None:
    site.take(model_bundles.make(tmp_path / "models"))
    chain = {**model_bundles.roots(), 3: model_bundles.granting(3, ("custodian", "stranger"))}
    later = bundles.Draft(files=model_bundles.FILES, version="2.0.0", number=2).write(tmp_path / "later")
    site.take(model_bundles.sign(later, "custodian", "stranger", chain=chain))
    refuses(site, model_bundles.make(tmp_path / "stale", number=9, version="9.0.0"), RollbackError, "roots end at")


@pytest.mark.parametrize("what", ["blob", "index", "extra"])
def test_what_was_changed_on_the_way_is_refused(site: Site, tmp_path: Path, what: str) -> None:
    bundle = model_bundles.make(tmp_path / "models")
    if what == "extra":
        (bundle / "extra").write_bytes(b"x")
        refuses(site, bundle, UnlistedFileError)
        return
    largest = max((bundle / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    path = largest if what == "blob" else bundle / "index.json"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    refuses(site, bundle, DigestMismatchError)


def test_support_that_has_ended_is_refused(site: Site, tmp_path: Path) -> None:
    bundle = model_bundles.make(tmp_path / "models")
    refuses(site, bundle, ExpiredError, now=bundles.SUPPORT_UNTIL + timedelta(days=1))


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
    refuses(site, bundle, StoreError, "bytes more, 0 are free")


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


def test_a_program_that_knows_no_floors_of_models_does_not_forget_them(site: Site, tmp_path: Path) -> None:
    def schema() -> int:
        framed = json.loads((site.trust / "state-a.json").read_bytes())
        found: int = json.loads(framed["state"])["schema"]
        return found

    assert schema() == 1
    site.take(model_bundles.make(tmp_path / "models"))
    assert schema() == 2


def test_pinning_again_lets_no_older_bundle_in(site: Site, tmp_path: Path) -> None:
    site.take(model_bundles.make(tmp_path / "second", number=2, min_release=2, version="1.0.2"))
    before = TrustState.load(site.trust)
    shutil.rmtree(site.trust)
    release = bundles.Draft().write(tmp_path / "again")
    bundles.sign(release, "architect", "builder", "release", roots=model_bundles.roots())
    site.install(release, pin=bundles.root_bytes())
    assert replace(TrustState.load(site.trust), sequence=before.sequence) == before
    refuses(site, model_bundles.make(tmp_path / "first", number=1), RollbackError)


def test_pinning_again_does_not_bring_back_the_floors_of_former_holders(site: Site, tmp_path: Path) -> None:
    site.take(model_bundles.make(tmp_path / "high", number=900, version="9.0.0"))
    shutil.rmtree(site.trust)
    chain = {**model_bundles.roots(), 3: model_bundles.granting(3, ("custodian", "stranger"))}
    release = bundles.Draft().write(tmp_path / "again")
    bundles.sign(release, "architect", "builder", "release", roots=chain)
    site.install(release, pin=bundles.root_bytes())
    low = bundles.Draft(files=model_bundles.FILES, version="1.0.1", number=2).write(tmp_path / "low")
    site.take(model_bundles.sign(low, "custodian", "stranger", chain=chain))
    assert TrustState.load(site.trust).versions["models"] == 2


def test_a_state_of_the_time_before_grants_is_read(site: Site) -> None:
    state = TrustState.load(site.trust)
    assert "models" not in state.versions
    replace(state, versions={**state.versions, "models": 4, "others": 3}).save(site.trust)
    assert TrustState.load(site.trust).versions == {**state.versions, "models": 4}
    assert fingerprint(TrustState.load(site.trust).root or b"") == fingerprint(bundles.root_bytes())
