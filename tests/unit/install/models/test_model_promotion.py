"""Another model serves, and the former again: as decided, judged at that moment, and seen to be loaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.digest import sha256
from airgap_bundle.model_bundle import SHELF
from airgap_bundle.store import Store
from appliance.errors import DeploymentError, NotAllowedError, UsageError
from appliance.install.model_check import check_models
from appliance.install.model_import import bring
from appliance.install.model_switch import promote, rollback
from appliance.models.admission import admit_model, grounds
from appliance.models.errors import FileDigestError, ModelRefusedError
from appliance.models.serving import read_decisions
from appliance.site.load import load_site
from tests import bundles, model_bundles, site_of_models
from tests.site_of_models import NEW, OLD, GatedEngines, digest_of
from tests.unit.install.models.desk import WHY, logged, served, unchanged
from tests.unit.models.small_release import NAME, TEMPLATE

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.site.paths import SitePaths


def test_a_promoted_model_serves_and_the_log_knows_who_why_and_what(brought: SitePaths, engines: GatedEngines) -> None:
    done = promote(brought, NAME, reason=WHY, engines=engines)
    assert (done.digest, done.former, done.changed) == (digest_of(NEW), digest_of(OLD), True)
    assert served(brought) == digest_of(NEW) == engines.loaded[NAME]["digest"]
    assert engines.loaded[NAME]["signers"] == list(model_bundles.OFFICERS)
    entry = logged(brought)[-1]
    assert (entry["action"], entry["reason"], entry["status"]) == ("promote", WHY, "Success")
    assert entry["former_digest"] == digest_of(OLD)
    assert entry["waived"] == ["producer-verified", "conversion-closed"]


def test_rolling_back_is_a_decision_of_its_own_and_can_be_rolled_back(
    brought: SitePaths, engines: GatedEngines
) -> None:
    promote(brought, NAME, reason=WHY, engines=engines)
    assert rollback(brought, NAME, reason="it is too slow", engines=engines).digest == digest_of(OLD)
    assert served(brought) == digest_of(OLD)
    assert rollback(brought, NAME, reason="it was the disk", engines=engines).digest == digest_of(NEW)
    assert [entry["action"] for entry in logged(brought)] == ["import", "promote", "rollback", "rollback"]
    assert len(read_decisions(brought, NAME).made) == 4


def test_what_serves_already_is_not_started_again(brought: SitePaths, engines: GatedEngines) -> None:
    promote(brought, NAME, reason=WHY, engines=engines)
    before, starts = bundles.tree(brought.root), list(engines.starts)
    assert not promote(brought, NAME, reason=WHY, engines=engines).changed
    assert (bundles.tree(brought.root), engines.starts) == (before, starts)


def test_a_model_is_named_by_the_beginning_of_its_digest(brought: SitePaths, engines: GatedEngines) -> None:
    promote(brought, NAME, reason=WHY, engines=engines)
    done = promote(brought, NAME, digest_of(OLD)[: len("sha256:") + 8], reason="as before", engines=engines)
    assert done.digest == digest_of(OLD)
    for wrong, cause in (("sha256:123", "too short"), ("f" * 12, "there is no model")):
        with pytest.raises(UsageError, match=cause):
            promote(brought, NAME, wrong, reason=WHY, engines=engines)


def test_another_template_with_the_same_weights_is_another_model(
    paths: SitePaths, engines: GatedEngines, tmp_path: Path
) -> None:
    template = TEMPLATE.replace("User", "Question")
    bring(paths, site_of_models.make(tmp_path / "m", OLD, template=template), rehearse=False, engines=engines)
    assert promote(paths, NAME, reason=WHY, engines=engines).changed
    assert engines.loaded[NAME]["digest"] == digest_of(OLD)
    assert engines.loaded[NAME]["template_digest"] == sha256(template.encode())


def test_an_engine_that_does_not_start_on_it_leaves_the_former_serving(
    brought: SitePaths, engines: GatedEngines
) -> None:
    engines.unfit = (digest_of(NEW),)
    with unchanged(brought), pytest.raises(DeploymentError, match="out of memory"):
        promote(brought, NAME, reason=WHY, engines=engines)
    assert engines.starts[-2:] == [digest_of(NEW), digest_of(OLD)]
    assert engines.loaded[NAME]["digest"] == digest_of(OLD)
    assert logged(brought)[-1]["status"] == "Failure"


def test_an_engine_that_loads_something_else_is_not_believed(
    brought: SitePaths, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = dict(engines.loaded[NAME])
    monkeypatch.setattr(engines, "serves", lambda _model: old)
    with unchanged(brought), pytest.raises(DeploymentError, match="something else"):
        promote(brought, NAME, reason=WHY, engines=engines)
    assert served(brought) == digest_of(OLD)


def test_a_model_whose_waiver_is_gone_is_refused_at_the_moment_of_use(
    brought: SitePaths, engines: GatedEngines
) -> None:
    (brought.policies / "waivers" / "1.json").unlink()
    starts = list(engines.starts)
    with unchanged(brought), pytest.raises(ModelRefusedError, match="producer-verified"):
        promote(brought, NAME, reason=WHY, engines=engines)
    assert engines.starts == starts
    assert logged(brought)[-1]["status"] == "Failure"


def test_a_former_model_that_policy_refuses_by_now_does_not_return(brought: SitePaths, engines: GatedEngines) -> None:
    promote(brought, NAME, reason=WHY, engines=engines)
    (brought.policies / "waivers" / "0.json").unlink()
    with unchanged(brought), pytest.raises(ModelRefusedError):
        rollback(brought, NAME, reason=WHY, engines=engines)
    assert served(brought) == digest_of(NEW)


def test_bytes_that_were_changed_in_the_store_are_not_promoted(brought: SitePaths, engines: GatedEngines) -> None:
    stored = Store(brought.store).path(digest_of(NEW))
    data = bytearray(stored.read_bytes())
    data[-1] ^= 1
    stored.write_bytes(data)
    with unchanged(brought), pytest.raises(ModelRefusedError, match="weights-digest") as caught:
        promote(brought, NAME, reason=WHY, engines=engines)
    assert {c.name for c in caught.value.verdict.failed} >= {"weights-digest"} if caught.value.verdict else False


def test_a_promoted_model_is_refused_at_its_next_start_when_its_bytes_were_changed(
    brought: SitePaths, engines: GatedEngines
) -> None:
    promote(brought, NAME, reason=WHY, engines=engines)
    stored = Store(brought.store).path(digest_of(NEW))
    stored.write_bytes(stored.read_bytes()[:-1] + b"!")
    with pytest.raises(FileDigestError):
        served(brought)


def test_a_newer_bundle_ends_the_use_of_older_ones(brought: SitePaths, engines: GatedEngines, tmp_path: Path) -> None:
    promote(brought, NAME, reason=WHY, engines=engines)
    newer = site_of_models.make(tmp_path / "newer", OLD, version="1.2.0", number=3, min_release=2)
    bring(brought, newer, rehearse=False, engines=engines)
    with pytest.raises(ModelRefusedError, match="number 1 is below 2"):
        served(brought)
    promote(brought, NAME, reason="the former is recalled", engines=engines)
    assert admit_model(NAME, brought).receipt["release"] == "1.2.0"
    with pytest.raises(ModelRefusedError, match="below 2"):
        rollback(brought, NAME, reason=WHY, engines=engines)


def test_names_that_the_site_does_not_serve_and_empty_reasons_are_mistakes(
    brought: SitePaths, engines: GatedEngines
) -> None:
    before = bundles.tree(brought.root)
    for act in (promote, rollback):
        with pytest.raises(UsageError, match="serves no model other"):
            act(brought, "other", reason=WHY, engines=engines)
        with pytest.raises(UsageError, match="a reason"):
            act(brought, NAME, reason=" ", engines=engines)
    with pytest.raises(UsageError, match="no other model has served"):
        rollback(brought, NAME, reason=WHY, engines=engines)
    assert bundles.tree(brought.root) == before


@pytest.mark.parametrize("reason", ["\x1b[2J", "one\ntwo", os.fsdecode(b"\xff")])
def test_a_reason_that_could_steer_a_terminal_or_has_no_spelling_is_a_mistake(
    brought: SitePaths, engines: GatedEngines, reason: str
) -> None:
    with pytest.raises(UsageError, match="printable"):
        promote(brought, NAME, reason=reason, engines=engines)


def test_somebody_else_changes_no_model(
    brought: SitePaths, engines: GatedEngines, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bundles.tree(brought.root)
    monkeypatch.setattr(os, "geteuid", lambda: brought.root.stat().st_uid + 1)
    for act in (
        lambda: bring(brought, models, rehearse=False, engines=engines),
        lambda: promote(brought, NAME, reason=WHY, engines=engines),
        lambda: rollback(brought, NAME, reason=WHY, engines=engines),
    ):
        with pytest.raises(NotAllowedError) as caught:
            act()
        assert caught.value.exit_code == 7
    assert bundles.tree(brought.root) == before


def test_an_installation_judges_what_will_serve(brought: SitePaths, engines: GatedEngines) -> None:
    promote(brought, NAME, reason=WHY, engines=engines)
    config, release = load_site(brought.site_yaml), grounds(brought).release
    bundle = Store(brought.store, SHELF).open_release("1.1.0")
    (brought.policies / "waivers" / "0.json").unlink()
    assert check_models(config, release, brought.policies, {NAME: bundle}) == (f"{NAME} by officer",)
