"""A bundle brings a model of a name that the site does not serve: it is decided for first, and served once named."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from airgap_bundle.digest import sha256
from airgap_bundle.errors import RollbackError
from airgap_bundle.model_bundle import SHELF
from airgap_bundle.store import RELEASES, Store
from airgap_bundle.trust_state import TrustState
from appliance.cli.model import app
from appliance.errors import DeploymentError, RefusedError, SiteFileError, UsageError
from appliance.install import model_switch, power
from appliance.install.accounts import accounts_for
from appliance.install.backup.creating import _imported
from appliance.install.backup.mark import write_mark
from appliance.install.journal import read_journal
from appliance.install.model_check import check_models
from appliance.install.model_import import bring
from appliance.install.model_settle import settle
from appliance.install.model_switch import promote, rollback
from appliance.install.services import site_services
from appliance.install.startup import startable
from appliance.install.status_warnings import model_warnings
from appliance.install.steps.site import _loadable
from appliance.install.supervision.units import Units
from appliance.models.admission import admit_model, grounds
from appliance.models.errors import ModelRefusedError
from appliance.models.serving import read_decisions, write_decisions
from appliance.site.load import load_site
from appliance.site.paths import NOTHING_TO_SERVE, engine_service
from tests import bundles, site_of_models
from tests.site_of_models import NEW, OLD, GatedEngines, digest_of, soon
from tests.unit.install.models.desk import WHY, logged, unchanged
from tests.unit.install.models.killing import killed
from tests.unit.models.small_release import NAME, waiver

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.site.paths import SitePaths

OTHER = "multilingual"


@pytest.fixture
def shelved(paths: SitePaths, engines: GatedEngines, tmp_path: Path) -> SitePaths:
    """The site with a model of that name in its store, and an officer's waiver for it."""
    (paths.policies / "waivers" / "2.json").write_bytes(waiver(sha256(NEW).hex, name=OTHER, issued=soon()))
    bring(paths, site_of_models.make(tmp_path / "new-name", slot=OTHER), rehearse=False, engines=engines)
    return paths


def named(paths: SitePaths) -> None:
    """site.yaml names the model beside the former."""
    said = paths.site_yaml.read_text()
    paths.site_yaml.write_text(
        said.replace(f"models: [{{name: {NAME}}}]", f"models: [{{name: {NAME}}}, {{name: {OTHER}}}]")
    )


def states(paths: SitePaths) -> dict[str, str]:
    done = CliRunner().invoke(app, ["list", "--output", "json"], obj=paths.root)
    return {row["name"]: row["state"] for row in json.loads(done.stdout)}


def test_it_is_chosen_without_an_engine_and_serves_once_the_site_names_it(
    shelved: SitePaths, engines: GatedEngines
) -> None:
    starts = list(engines.starts)
    done = promote(shelved, OTHER, reason=WHY, engines=engines)
    assert (done.digest, done.former, done.changed, done.listed) == (digest_of(NEW), "", True, False)
    assert engines.starts == starts
    entry = logged(shelved)[-1]
    assert (entry["name"], entry["action"], entry["reason"], entry["status"]) == (OTHER, "promote", WHY, "Success")
    assert not entry.get("former_digest")
    assert states(shelved) == {NAME: "serving", OTHER: "chosen"}
    named(shelved)
    assert states(shelved) == {NAME: "serving", OTHER: "serving"}
    model = admit_model(OTHER, shelved)
    model.close()
    assert (model.receipt["digest"], model.receipt["release"]) == (digest_of(NEW), "1.1.0")


def test_an_installation_says_that_somebody_has_to_decide_and_then_judges_it(shelved: SitePaths) -> None:
    named(shelved)
    config, release = load_site(shelved.site_yaml), grounds(shelved).release
    with pytest.raises(SiteFileError, match=f"sovereign model promote {OTHER}") as caught:
        check_models(config, release, shelved.policies, {}, {OTHER})
    assert f"{OTHER} is not in release 1.0.0" in str(caught.value)
    bundle = Store(shelved.store, SHELF).open_release("1.1.0")
    assert f"{OTHER} by officer" in check_models(config, release, shelved.policies, {OTHER: bundle}, {OTHER})
    (shelved.policies / "waivers" / "2.json").unlink()
    with pytest.raises(RefusedError, match=f"{OTHER}: producer-verified"):
        check_models(config, release, shelved.policies, {OTHER: bundle}, {OTHER})


def sovereign(paths: SitePaths, *words: str) -> tuple[int, str]:
    """The command as a unit starts it: its status, and what it says."""
    program = [sys.executable, "-c", "from appliance.cli.entry import run; run()", "--site", str(paths.root), *words]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def assert_nothing_is_served(paths: SitePaths) -> None:
    """Its service ends with the status that its unit does not start it again for, and nobody waits for it."""
    before = bundles.tree(paths.root)
    status, said = sovereign(paths, "serve", engine_service(OTHER))
    assert (status, f"has {OTHER}" in said) == (NOTHING_TO_SERVE, True), said
    status, said = sovereign(paths, "await", engine_service(OTHER))
    assert status == 0, said
    assert bundles.tree(paths.root) == before
    config = load_site(paths.site_yaml)
    texts = Units(paths).texts(site_services(config, paths, accounts_for(config)), "trial", ())
    assert f"RestartPreventExitStatus={NOTHING_TO_SERVE}\n" in texts[Units(paths).unit(engine_service(OTHER))]


def test_a_site_that_lost_its_store_takes_in_again_what_it_had_and_nothing_older(
    shelved: SitePaths, engines: GatedEngines, tmp_path: Path
) -> None:
    """As a restore leaves it: floors and journal are those of the backup, and no bundle of models is there."""
    newer = site_of_models.make(tmp_path / "newer", version="1.2.0", number=2)
    bring(shelved, newer, rehearse=False, engines=engines)
    floors = TrustState.load(shelved.trust)
    shutil.rmtree(shelved.store / SHELF)
    done = bring(shelved, tmp_path / "new-name", rehearse=False, engines=engines)
    assert [held.name for held, _ in done.models] == [OTHER]
    assert (done.new, logged(shelved)[-1]["reason"]) == (1, "brought again: the store had lost it")
    assert TrustState.load(shelved.trust) == floors
    assert promote(shelved, OTHER, reason=WHY, engines=engines).digest == digest_of(NEW)
    with pytest.raises(RollbackError, match="number 1 is below 2"):
        bring(shelved, tmp_path / "new-name", rehearse=False, engines=engines)  # the store has it
    shutil.rmtree(shelved.store / SHELF)
    for folder, changes in (
        ("other-bytes", {"version": "1.1.0", "template": "{{ messages }}"}),
        ("other-version", {"version": "1.0.9"}),
    ):
        stranger = site_of_models.make(tmp_path / folder, slot=OTHER, **changes)
        with pytest.raises(RollbackError, match="number 1 is below 2"):
            bring(shelved, stranger, rehearse=False, engines=engines)
    bring(
        shelved,
        site_of_models.make(tmp_path / "last", version="1.3.0", number=3, min_release=2),
        rehearse=False,
        engines=engines,
    )
    with pytest.raises(RollbackError, match="number 1 is below 3"):
        bring(shelved, tmp_path / "new-name", rehearse=False, engines=engines)


def test_a_site_that_came_back_without_its_bundle_serves_all_else_and_says_what_to_bring(
    shelved: SitePaths, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup holds no bundle: a restore leaves the name without a model until somebody brings and chooses one."""
    named(shelved)
    config = load_site(shelved.site_yaml)
    whole = site_services(config, shelved, accounts_for(config))
    installing: Any = SimpleNamespace(config=config, paths=shelved, release=grounds(shelved).release)
    installed = shelved.site_yaml.read_text()
    shelved.site_yaml.unlink()
    assert _loadable(installing) == config
    write_mark(shelved, sha256(b"a backup"))
    assert [model.name for model in _loadable(installing).models] == [NAME], "while it is restored"
    shelved.restoring.unlink()
    shelved.site_yaml.write_text(installed)
    started = {service.name: service for service in startable(config, shelved, whole)}
    assert (engine_service(NAME) in started, engine_service(OTHER) in started) == (True, False)
    assert engine_service(OTHER) not in started["gateway"].after
    assert [model.name for model in _loadable(installing).models] == [NAME], "the installed site.yaml has it, too"
    more = config.models[0].model_copy(update={"name": "never-brought"})
    newer: Any = SimpleNamespace(**vars(installing) | {"config": config.model_copy(update={"models": (more,)})})
    assert [model.name for model in _loadable(newer).models] == ["never-brought"], "the gate's to refuse"
    (warning,) = model_warnings(config, shelved)
    assert f"has {OTHER}" in warning
    assert "sovereign model import" in warning
    monkeypatch.setattr(power, "_installed", lambda _paths: config)
    down = power.kept_down(shelved)
    assert down is not None
    assert f"engine-{OTHER} stays down" in down.cause
    assert_nothing_is_served(shelved)
    engines.unfit, starts = (digest_of(NEW),), list(engines.starts)
    with pytest.raises(DeploymentError, match="out of memory"):
        promote(shelved, OTHER, reason="brought again", engines=engines)
    assert engines.starts == [*starts, digest_of(NEW)], "there is no former model to start"
    engines.unfit = ()
    done = promote(shelved, OTHER, reason="brought again", engines=engines)
    assert (done.listed, done.former, engines.loaded[OTHER]["digest"]) == (True, "", digest_of(NEW))
    assert startable(config, shelved, whole) == whole
    assert (power.kept_down(shelved), model_warnings(config, shelved)) == (None, ())


def test_what_policy_refuses_is_not_chosen(shelved: SitePaths, engines: GatedEngines) -> None:
    (shelved.policies / "waivers" / "2.json").unlink()
    with unchanged(shelved), pytest.raises(ModelRefusedError, match="producer-verified"):
        promote(shelved, OTHER, reason=WHY, engines=engines)
    assert (logged(shelved)[-1]["name"], logged(shelved)[-1]["status"]) == (OTHER, "Failure")
    assert states(shelved)[OTHER] == "imported"


def test_choosing_it_again_changes_nothing_and_a_newer_bundle_is_chosen_anew(
    shelved: SitePaths, engines: GatedEngines, tmp_path: Path
) -> None:
    promote(shelved, OTHER, reason=WHY, engines=engines)
    before = bundles.tree(shelved.root)
    again = promote(shelved, OTHER, reason=WHY, engines=engines)
    assert (again.changed, again.listed) == (False, False)
    assert bundles.tree(shelved.root) == before
    newer = site_of_models.make(tmp_path / "newer", slot=OTHER, version="1.2.0", number=2, template="{{ messages }}")
    bring(shelved, newer, rehearse=False, engines=engines)
    done = promote(shelved, OTHER, reason="another template", engines=engines)
    assert (done.source, done.former) == ("bundle 1.2.0", "")
    assert [choice.version for choice in read_decisions(shelved, OTHER).made] == ["1.1.0", "1.2.0"]


def test_names_that_no_bundle_brought_and_ways_back_that_there_are_none_are_mistakes(
    shelved: SitePaths, engines: GatedEngines
) -> None:
    promote(shelved, OTHER, reason=WHY, engines=engines)
    before = bundles.tree(shelved.root)
    with pytest.raises(UsageError, match="serves no model nobody"):
        promote(shelved, "nobody", reason=WHY, engines=engines)
    with pytest.raises(UsageError, match=f"serves no model {OTHER}"):
        rollback(shelved, OTHER, reason=WHY, engines=engines)
    assert bundles.tree(shelved.root) == before


def test_a_model_of_the_release_that_the_site_does_not_name_is_the_site_files_to_name(
    brought: SitePaths, engines: GatedEngines
) -> None:
    """The shelf's is chosen for such a name, and the release's never: nothing would be decided."""
    said = brought.site_yaml.read_text()
    brought.site_yaml.write_text(
        said.replace(f"models: [{{name: {NAME}}}]", f"models: [{{name: {OTHER}}}]").replace(
            f"models: [{NAME}]", f"models: [{OTHER}]"
        )
    )
    done = promote(brought, NAME, reason=WHY, engines=engines)
    assert (done.digest, done.former, done.listed) == (digest_of(NEW), "", False)
    assert [choice.shelf for choice in read_decisions(brought, NAME).made] == [SHELF]
    back = promote(brought, NAME, digest_of(OLD), reason="the release's is better", engines=engines)
    assert (back.changed, back.source) == (True, "release 1.0.0")
    assert [choice.shelf for choice in read_decisions(brought, NAME).made] == [SHELF, RELEASES]
    model = admit_model(NAME, brought)
    model.close()
    assert model.receipt["digest"] == digest_of(OLD)


def test_a_decision_that_ends_in_an_error_is_none(
    shelved: SitePaths, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file was there already when somebody pressed Ctrl+C."""

    def interrupted(*arguments: Any) -> None:
        write_decisions(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(model_switch, "write_decisions", interrupted)
    with unchanged(shelved), pytest.raises(KeyboardInterrupt):
        promote(shelved, OTHER, reason=WHY, engines=engines)
    assert logged(shelved)[-1]["status"] == "Failure"
    assert (states(shelved)[OTHER], read_decisions(shelved, OTHER).made) == ("imported", ())


def test_whoever_decides_may_look_at_it_before(shelved: SitePaths) -> None:
    for command in ("inspect", "verify"):
        done = CliRunner().invoke(app, [command, OTHER, "--output", "json"], obj=shelved.root)
        assert done.exit_code == 0, done.output


def test_its_name_is_in_a_backups_statement_whether_the_site_names_it_or_not(
    shelved: SitePaths, engines: GatedEngines
) -> None:
    config, release = load_site(shelved.site_yaml), grounds(shelved).release
    assert _imported(config, shelved, release) == ()
    promote(shelved, OTHER, reason=WHY, engines=engines)
    assert _imported(config, shelved, release) == (OTHER,)
    named(shelved)
    assert _imported(load_site(shelved.site_yaml), shelved, release) == (OTHER,)


def test_cut_off_at_any_moment_it_is_chosen_or_it_is_not_and_the_log_says_which(
    shelved: SitePaths, engines: GatedEngines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines.standby = replace(engines)
    config = load_site(shelved.site_yaml)
    outcomes = set()
    for moment in range(20):
        before = sum(entry["action"] == "promote" for entry in logged(shelved))
        act = lambda: promote(shelved, OTHER, reason=WHY, engines=engines)  # noqa: E731 - a thunk for the child
        if not killed(monkeypatch, engines, moment, act, tmp_path / "engines"):
            break
        settle(config, shelved, None)
        chosen = read_decisions(shelved, OTHER).in_force is not None
        told = [entry["status"] for entry in logged(shelved) if entry["action"] == "promote"][before:]
        assert told == ["Success" if chosen else "Failure"] or (told == [] and not chosen)
        assert not [record for record in read_journal(shelved.journal)[-1:] if record.state == "started"]
        outcomes.add(chosen)
        shelved.serving(OTHER).unlink(missing_ok=True)
    assert outcomes == {True, False}
