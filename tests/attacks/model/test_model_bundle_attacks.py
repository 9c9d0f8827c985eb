"""Models that are slipped past a running site: by its files, by replays, and by those who once might bring them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.errors import RollbackError
from airgap_bundle.model_bundle import SHELF
from airgap_bundle.store import Store
from airgap_bundle.trust_state import TrustState
from appliance.errors import DeploymentError
from appliance.install import decisions
from appliance.install.model_import import bring
from appliance.install.model_list import list_models
from appliance.install.model_switch import promote, rollback
from appliance.models.admission import admit_model
from appliance.models.errors import ArtifactError, ModelRefusedError
from appliance.models.serving import read_decisions
from tests import bundles, model_bundles, site_of_models
from tests.site_of_models import NEW, OLD, GatedEngines, digest_of
from tests.unit.models.small_release import NAME

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.site.paths import SitePaths

WHY = "an attack"
SUCCESSORS = ("custodian", "stranger")


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SitePaths:
    monkeypatch.setattr(decisions, "answers", lambda _probe: True)
    monkeypatch.setattr(decisions, "spool", lambda *_: 0)
    return site_of_models.install(tmp_path / "site", tmp_path)


@pytest.fixture
def engines(paths: SitePaths) -> GatedEngines:
    found = GatedEngines(paths)
    found.start(NAME)
    return found


@pytest.fixture
def promoted(paths: SitePaths, engines: GatedEngines, tmp_path: Path) -> SitePaths:
    """The site with the second model in force."""
    bring(paths, site_of_models.make(tmp_path / "models"), rehearse=False, engines=engines)
    promote(paths, NAME, reason=WHY, engines=engines)
    return paths


def handed_over() -> dict[int, bytes]:
    """Roots of which the third gives the right to bring models to others."""
    return {**model_bundles.roots(), 3: model_bundles.granting(3, SUCCESSORS)}


def _edit(paths: SitePaths, **changes: Any) -> None:
    value = json.loads(paths.serving(NAME).read_bytes())
    value["made"][-1] |= changes
    paths.serving(NAME).write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"digest": "sha256:" + "0" * 64}, ArtifactError),
        ({"shelf": "elsewhere"}, DeploymentError),
        ({"since": 1}, DeploymentError),
        ({"weights": None}, DeploymentError),
    ],
)
def test_an_edited_decision_loads_nothing(promoted: SitePaths, changes: dict[str, Any], error: type[Exception]) -> None:
    _edit(promoted, **changes)
    with pytest.raises(error):
        admit_model(NAME, promoted)


def test_a_decision_about_another_model_does_not_serve_this_one(promoted: SitePaths) -> None:
    value = json.loads(promoted.serving(NAME).read_bytes())
    promoted.serving(NAME).write_text(json.dumps({**value, "model": "other"}))
    with pytest.raises(DeploymentError, match="no list of decisions about this model"):
        admit_model(NAME, promoted)


def test_a_record_that_was_laid_into_the_store_under_an_unknown_root_is_not_chosen(
    paths: SitePaths, engines: GatedEngines, tmp_path: Path
) -> None:
    bring(paths, site_of_models.make(tmp_path / "models"), rehearse=False, engines=engines)
    path = Store(paths.store, SHELF).record_path("1.1.0")
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "root_fingerprint": "sha256:" + "0" * 64}))
    with pytest.raises(ModelRefusedError, match="to others"):
        promote(paths, NAME, reason=WHY, engines=engines)
    assert engines.loaded[NAME]["digest"] == digest_of(OLD)


def test_a_model_in_the_slot_of_another_is_refused(paths: SitePaths, engines: GatedEngines, tmp_path: Path) -> None:
    bundle = site_of_models.make(tmp_path / "models", name="other")
    before = bundles.tree(paths.store, paths.trust)
    with pytest.raises(ModelRefusedError, match="record-in-its-place"):
        bring(paths, bundle, rehearse=False, engines=engines)
    assert bundles.tree(paths.store, paths.trust) == before


def test_holders_who_drive_the_number_up_lock_out_nobody_once_the_root_has_replaced_them(
    promoted: SitePaths, engines: GatedEngines, tmp_path: Path
) -> None:
    high = site_of_models.make(tmp_path / "high", OLD, version="9.9.9", number=2**53, min_release=1)
    bring(promoted, high, rehearse=False, engines=engines)
    releases = TrustState.load(promoted.trust)
    low = {"version": "1.2.0", "number": 2}
    with pytest.raises(RollbackError):
        bring(promoted, site_of_models.make(tmp_path / "low", **low), rehearse=False, engines=engines)
    recovered = site_of_models.make(tmp_path / "new", **low, signers=SUCCESSORS, chain=handed_over())
    bring(promoted, recovered, rehearse=False, engines=engines)
    learnt = TrustState.load(promoted.trust)
    assert learnt.versions == {**releases.versions, "models": 2}
    assert (learnt.release_number, learnt.min_release) == (releases.release_number, releases.min_release)


def test_what_holders_signed_before_their_right_went_and_came_back_does_not_return(
    paths: SitePaths, engines: GatedEngines, tmp_path: Path
) -> None:
    old = site_of_models.make(tmp_path / "old", OLD, version="1.0.9")
    chain = {**model_bundles.roots(), **model_bundles.back_again()}
    others = {version: data for version, data in chain.items() if version < 4}
    theirs = site_of_models.make(tmp_path / "theirs", version="1.2.0", signers=("outsider", "stranger"), chain=others)
    bring(paths, theirs, rehearse=False, engines=engines)
    release = bundles.Draft(version="2.0.0", number=2, support_until=site_of_models.soon() + timedelta(days=90))
    signed = bundles.sign(
        release.write(tmp_path / "release-2"),
        "architect",
        "builder",
        "release",
        roots=chain,
        now=site_of_models.soon(),
    )
    bundles.Site(paths.root).install(signed, now=datetime.now(UTC))
    assert "models" not in TrustState.load(paths.trust).versions  # no number is left that could refuse it
    for version in (3, 4):
        (old / f"metadata/{version}.root.json").write_bytes(chain[version])
    before = bundles.tree(paths.store, paths.trust)
    with pytest.raises(RollbackError, match="signed under root 2, and root 4 is in force"):
        bring(paths, old, rehearse=False, engines=engines)
    assert bundles.tree(paths.store, paths.trust) == before


def test_what_former_holders_brought_serves_on_and_is_not_chosen_again(
    promoted: SitePaths, engines: GatedEngines, tmp_path: Path
) -> None:
    later = site_of_models.make(
        tmp_path / "new", OLD, version="1.2.0", number=1, signers=SUCCESSORS, chain=handed_over()
    )
    bring(promoted, later, rehearse=False, engines=engines)
    model = admit_model(NAME, promoted)
    model.close()
    assert model.receipt["digest"] == digest_of(NEW)
    (note,) = {row.note for row in list_models(promoted) if row.bundle == "1.1.0"}
    assert note is not None
    assert "to others" in note
    promote(promoted, NAME, reason=WHY, engines=engines)
    before = read_decisions(promoted, NAME)
    for again in (
        lambda: promote(promoted, NAME, digest_of(NEW), reason=WHY, engines=engines),
        lambda: rollback(promoted, NAME, reason=WHY, engines=engines),
    ):
        with pytest.raises(ModelRefusedError, match="to others"):
            again()
    assert read_decisions(promoted, NAME) == before
