"""What a site remembers of bundles of models: numbers, the root that they count under, and who may bring them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.errors import (
    MalformedError,
    MixedMetadataError,
    ReleaseConflictError,
    RollbackError,
    SigningError,
)
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


def test_a_release_after_it_keeps_the_floor_of_models(site: Site, tmp_path: Path) -> None:
    site.take(model_bundles.make(tmp_path / "models", number=5))
    later = bundles.Draft(version="1.1.0", number=2).write(tmp_path / "later")
    site.install(bundles.sign(later, "architect", "builder", "release", roots=model_bundles.roots()))
    site.refuses_models(model_bundles.make(tmp_path / "older", number=4, version="0.9.0"), RollbackError)


def test_an_older_bundle_is_refused_and_another_of_the_same_number_too(site: Site, tmp_path: Path) -> None:
    site.take(model_bundles.make(tmp_path / "second", number=2, version="1.0.2"))
    site.refuses_models(model_bundles.make(tmp_path / "first", number=1), RollbackError)
    site.refuses_models(model_bundles.make(tmp_path / "twin", number=2, version="1.0.3"), ReleaseConflictError)
    site.refuses_models(model_bundles.make(tmp_path / "namesake", number=3, version="1.0.2"), ReleaseConflictError)


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
    site.refuses_models(ended, RollbackError, "signed under root 2")
    site.refuses_models(last, RollbackError, "signed under root 2")
    (last / "metadata/models.json").unlink()
    site.take(model_bundles.sign(last, *OFFICERS))  # who signed it may still sign
    state = TrustState.load(site.trust)
    assert (state.versions["models"], state.models_min) == (3, 3)
    assert state.models_roots == (fingerprint(added),)
    site.refuses_models(ended, RollbackError)


def test_what_was_signed_before_the_grant_went_and_came_back_does_not_return(site: Site, tmp_path: Path) -> None:
    old = model_bundles.make(tmp_path / "old")
    site.take(old)
    roots = {**model_bundles.roots(), **model_bundles.back_again()}
    others = bundles.Draft(files=model_bundles.FILES, version="2.0.0").write(tmp_path / "others")
    site.take(model_bundles.sign(others, "outsider", "stranger", chain={v: roots[v] for v in (1, 2, 3)}))
    for version in (3, 4):
        (old / f"metadata/{version}.root.json").write_bytes(roots[version])
    site.refuses_models(old, RollbackError, "signed under root 2, and root 4 is in force")
    release = bundles.Draft(version="1.1.0", number=2).write(tmp_path / "later")
    site.install(bundles.sign(release, "architect", "builder", "release", roots=roots))
    assert "models" not in TrustState.load(site.trust).versions  # no floor is left that could refuse it
    site.refuses_models(old, RollbackError, "signed under root 2, and root 4 is in force")


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
    site.refuses_models(bundle, error)


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
    site.refuses_models(
        model_bundles.make(tmp_path / "stale", number=9, version="9.0.0"), RollbackError, "roots end at"
    )


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
    site.refuses_models(model_bundles.make(tmp_path / "first", number=1), RollbackError)


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
