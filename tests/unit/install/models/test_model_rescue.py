"""A model that may not load or be chosen any more is replaced, and the operator is told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.model_bundle import SHELF
from airgap_bundle.store import Store
from appliance.errors import DeploymentError
from appliance.install import model_import, model_switch
from appliance.install.model_import import bring
from appliance.install.model_switch import promote, rollback
from appliance.install.status_warnings import model_warnings
from appliance.models.admission import admit_model
from appliance.models.errors import ModelGateError, ModelRefusedError
from appliance.site.load import load_site
from tests import model_bundles, site_of_models
from tests.site_of_models import NEW, OLD, GatedEngines, digest_of
from tests.unit.install.models.desk import SUCCESSORS, WHY
from tests.unit.models.small_release import NAME

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.site.paths import SitePaths


def test_a_model_whose_engine_may_not_start_any_more_is_replaced(brought: SitePaths, engines: GatedEngines) -> None:
    promote(brought, NAME, reason=WHY, engines=engines)
    engines.stop(NAME)
    (brought.policies / "waivers" / "1.json").unlink()
    with pytest.raises(ModelGateError):
        admit_model(NAME, brought)
    assert rollback(brought, NAME, reason="its waiver ended", engines=engines).digest == digest_of(OLD)
    assert engines.loaded[NAME]["digest"] == digest_of(OLD)


def test_the_same_model_from_a_newer_bundle_replaces_one_whose_use_was_ended(
    brought: SitePaths, engines: GatedEngines, tmp_path: Path
) -> None:
    promote(brought, NAME, reason=WHY, engines=engines)
    draft = site_of_models.Draft(
        version="1.1.0",
        files={NAME: site_of_models.files(NEW)},
        support_until=site_of_models.soon() + timedelta(days=90),
        release_fields={"version": "1.1.1", "number": 2, "min_release": 2},
    )
    again = model_bundles.sign(draft.write(tmp_path / "again"), *model_bundles.OFFICERS, now=site_of_models.soon())
    bring(brought, again, rehearse=False, engines=engines)
    with pytest.raises(ModelRefusedError):
        admit_model(NAME, brought)
    assert promote(brought, NAME, reason="signed again", engines=engines).changed
    assert admit_model(NAME, brought).receipt["release"] == "1.1.1"


def test_the_status_tells_of_a_model_that_serves_though_its_use_was_ended(
    brought: SitePaths, engines: GatedEngines, tmp_path: Path
) -> None:
    promote(brought, NAME, reason=WHY, engines=engines)
    config = load_site(brought.site_yaml)
    assert model_warnings(config, brought) == ()
    chain = {**model_bundles.roots(), 3: model_bundles.granting(3, SUCCESSORS)}
    later = site_of_models.make(tmp_path / "later", OLD, version="1.2.0", signers=SUCCESSORS, chain=chain)
    bring(brought, later, rehearse=False, engines=engines)
    (warning,) = model_warnings(config, brought)
    assert f"{NAME} still serves" in warning
    assert "to others" in warning
    Store(brought.store, SHELF).record_path("1.1.0").unlink()
    (warning,) = model_warnings(config, brought)
    assert "not in the store" in warning


def test_what_a_release_brought_meanwhile_is_what_a_rollback_returns_to(
    brought: SitePaths, engines: GatedEngines, tmp_path: Path
) -> None:
    promote(brought, NAME, reason=WHY, engines=engines)
    rollback(brought, NAME, reason=WHY, engines=engines)
    site_of_models.activate(brought, tmp_path / "second", OLD, "2.0.0", 2)
    promote(brought, NAME, reason=WHY, engines=engines)
    assert rollback(brought, NAME, reason=WHY, engines=engines).source == "release 2.0.0"


def test_a_full_disk_does_not_hide_why_a_model_was_refused(
    brought: SitePaths, models: Path, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise DeploymentError("no space left on device")

    for module in (model_switch, model_import):
        monkeypatch.setattr(module, "note", full)
    (brought.policies / "waivers" / "1.json").unlink()
    for act in (
        lambda: promote(brought, NAME, reason=WHY, engines=engines),
        lambda: bring(brought, models, rehearse=False, engines=engines),
    ):
        with pytest.raises(ModelRefusedError, match="producer-verified") as caught:
            act()
        assert "no space left" in caught.value.__notes__[0]
