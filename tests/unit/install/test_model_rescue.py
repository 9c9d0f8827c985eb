"""A site whose models are in a bad way: a trial that nobody ended, a model that may not load, a damaged bundle."""

from __future__ import annotations

import json
import os
import shutil
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from airgap_bundle.errors import DigestMismatchError
from airgap_bundle.model_bundle import SHELF
from airgap_bundle.store import Store
from appliance.cli import model_serve
from appliance.cli.model import app
from appliance.errors import DeploymentError, UsageError
from appliance.install import host, model_import, model_settle, model_switch, model_trial
from appliance.install.accounts import accounts_for
from appliance.install.audit_spool import _event
from appliance.install.host import Request, install
from appliance.install.journal import read_journal
from appliance.install.lock import SiteBusyError, site_lock
from appliance.install.model_import import bring
from appliance.install.model_list import list_models
from appliance.install.model_settle import settle
from appliance.install.model_switch import promote, rollback
from appliance.install.services import site_services
from appliance.install.startup import startable
from appliance.install.status_warnings import model_warnings
from appliance.install.steps.site import _chosen, _loadable
from appliance.models.admission import admit_model, grounds
from appliance.models.errors import ArtifactError, ModelGateError, ModelRefusedError
from appliance.models.serving import Decisions, read_decisions, write_decisions
from appliance.site.load import load_site
from appliance.site.paths import SitePaths, engine_service
from tests import bundles, model_bundles, site_of_models
from tests.site_of_models import NEW, OLD, GatedEngines, digest_of
from tests.unit.models.small_release import NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

WHY = "it answers in German"
SUCCESSORS = ("custodian", "stranger")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with another model in its store, to be copied."""
    folder = tmp_path_factory.mktemp("made")
    paths = site_of_models.install(folder / "site", folder)
    with pytest.MonkeyPatch.context() as patch:
        _with_a_log(patch)
        bring(paths, site_of_models.make(folder / "models"), rehearse=False, engines=GatedEngines(paths))
    return folder


def _with_a_log(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(model_switch, "answers", lambda _probe: True)
    patch.setattr(model_switch, "spool", lambda *_: 0)


@pytest.fixture
def paths(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SitePaths:
    shutil.copytree(made / "site", tmp_path / "site", symlinks=True)
    _with_a_log(monkeypatch)
    return SitePaths(tmp_path / "site")


@pytest.fixture
def engines(paths: SitePaths) -> GatedEngines:
    found = GatedEngines(paths)
    found.start(NAME)
    return found


def put_on_trial(paths: SitePaths, engines: GatedEngines) -> None:
    """As a promotion that was killed leaves it: the engine has loaded, or loads, what nobody decided for."""
    promote(paths, NAME, reason=WHY, engines=engines)
    write_decisions(paths, NAME, Decisions(trial=read_decisions(paths, NAME).made[-1]))


def logged(paths: SitePaths) -> list[dict[str, Any]]:
    records = [r for r in read_journal(paths.journal) if r.step.startswith("model-") and r.state != "started"]
    return [{"status": e["status"], **e["unmapped"]["sovereign"]} for e in (_event(r, "1.0.0") for r in records)]


def test_an_engine_that_still_loads_a_trial_is_taken_off_it(
    paths: SitePaths, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_trial(paths, engines)
    with monkeypatch.context() as loading:
        loading.setattr(engines, "serves", lambda _model: None)
        settle(load_site(paths.site_yaml), paths, engines)
    assert engines.loaded[NAME]["digest"] == digest_of(OLD)


def test_a_trial_is_taken_away_only_while_no_engine_runs_on_it(
    paths: SitePaths, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[bool] = []

    put_on_trial(paths, engines)
    original = model_settle.put
    for module in (model_trial, model_settle):
        monkeypatch.setattr(module, "put", lambda *a: (ran.append(engines.runs(NAME)), original(*a)))
    settle(load_site(paths.site_yaml), paths, engines)
    monkeypatch.setattr(engines, "serves", lambda _model: {"digest": "another"})
    with pytest.raises(DeploymentError, match="something else"):
        promote(paths, NAME, reason=WHY, engines=engines)
    assert ran == [False, False]
    assert engines.loaded[NAME]["digest"] == digest_of(OLD)


def test_a_decision_that_cannot_be_written_leaves_the_former_serving(
    paths: SitePaths, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(paths: SitePaths, name: str, decisions: Decisions) -> None:
        if decisions.trial is None:
            raise DeploymentError("no space left on device")
        write_decisions(paths, name, decisions)

    monkeypatch.setattr(model_trial, "write_decisions", write)
    monkeypatch.setattr(model_switch, "write_decisions", write, raising=False)
    with pytest.raises(DeploymentError, match="no space"):
        promote(paths, NAME, reason=WHY, engines=engines)
    assert engines.loaded[NAME]["digest"] == digest_of(OLD)
    assert read_decisions(paths, NAME) == Decisions()


def test_an_installation_finds_no_trial(
    paths: SitePaths, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_trial(paths, engines)
    found: list[Decisions] = []
    release = SimpleNamespace(version="1.0.0", artifacts={})
    passed = SimpleNamespace(demand=lambda: None)
    values: Mapping[str, Any] = {
        "check_host": passed,
        "choose_python": Path("/usr/bin/python3"),
        "admit": release,
        "Context": SimpleNamespace(only=lambda _kind: None),
        "check_fits": None,
        "install_steps": (),
        "SupervisedEngines": engines,
        "prepare_runtime": None,
        "spool": 0,
    }
    for name, value in values.items():
        monkeypatch.setattr(host, name, lambda *_, value=value, **__: value)
    monkeypatch.setattr(host, "execute", lambda *_: found.append(read_decisions(paths, NAME)) or ())
    files = SimpleNamespace(config=load_site(paths.site_yaml))
    monkeypatch.setattr(host, "site_files", lambda *_: files)
    request = Request(bundle=paths.root, config=None, root_fingerprint=None)
    install(paths, request, passphrase=bytes, observer=None, progress=lambda *_: None)  # type: ignore[arg-type]
    assert found == [Decisions()]
    assert engines.loaded[NAME]["digest"] == digest_of(OLD)


def test_a_model_whose_engine_may_not_start_any_more_is_replaced(paths: SitePaths, engines: GatedEngines) -> None:
    promote(paths, NAME, reason=WHY, engines=engines)
    engines.stop(NAME)
    (paths.policies / "waivers" / "1.json").unlink()
    with pytest.raises(ModelGateError):
        admit_model(NAME, paths)
    assert rollback(paths, NAME, reason="its waiver ended", engines=engines).digest == digest_of(OLD)
    assert engines.loaded[NAME]["digest"] == digest_of(OLD)


def test_the_same_model_from_a_newer_bundle_replaces_one_whose_use_was_ended(
    paths: SitePaths, engines: GatedEngines, tmp_path: Path
) -> None:
    promote(paths, NAME, reason=WHY, engines=engines)
    draft = site_of_models.Draft(
        version="1.1.0",
        files={NAME: site_of_models.files(NEW)},
        support_until=site_of_models.soon() + timedelta(days=90),
        release_fields={"version": "1.1.1", "number": 2, "min_release": 2},
    )
    again = model_bundles.sign(draft.write(tmp_path / "again"), *model_bundles.OFFICERS, now=site_of_models.soon())
    bring(paths, again, rehearse=False, engines=engines)
    with pytest.raises(ModelRefusedError):
        admit_model(NAME, paths)
    assert promote(paths, NAME, reason="signed again", engines=engines).changed
    assert admit_model(NAME, paths).receipt["release"] == "1.1.1"


def test_the_status_tells_of_a_model_that_serves_though_its_use_was_ended(
    paths: SitePaths, engines: GatedEngines, tmp_path: Path
) -> None:
    promote(paths, NAME, reason=WHY, engines=engines)
    config = load_site(paths.site_yaml)
    assert model_warnings(config, paths) == ()
    chain = {**model_bundles.roots(), 3: model_bundles.granting(3, SUCCESSORS)}
    later = site_of_models.make(tmp_path / "later", OLD, version="1.2.0", signers=SUCCESSORS, chain=chain)
    bring(paths, later, rehearse=False, engines=engines)
    (warning,) = model_warnings(config, paths)
    assert f"{NAME} still serves" in warning
    assert "to others" in warning
    Store(paths.store, SHELF).record_path("1.1.0").unlink()
    (warning,) = model_warnings(config, paths)
    assert "not in the store" in warning


def test_a_damaged_decision_costs_one_engine_and_no_command_of_the_site(
    paths: SitePaths, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_trial(paths, engines)
    config = load_site(paths.site_yaml)
    two = config.model_copy(update={"models": (*config.models, config.models[0].model_copy(update={"name": "other"}))})
    whole = site_services(two, paths, accounts_for(two))
    assert startable(two, paths, whole) == whole
    paths.serving("other").write_text("{")
    settle(two, paths, engines)
    assert engines.loaded[NAME]["digest"] == digest_of(OLD)
    assert paths.serving("other").read_text() == "{"
    services = {s.name: s for s in startable(two, paths, whole)}
    assert engine_service(NAME) in services
    assert engine_service("other") not in services
    assert engine_service("other") not in services["gateway"].after
    assert services["gateway"].probe.path == "/healthz"
    installing = SimpleNamespace(config=two, paths=paths, release=grounds(paths).release)
    assert _loadable(installing) == config  # type: ignore[arg-type]
    assert _chosen(installing) == {}  # type: ignore[arg-type]
    (warning,) = model_warnings(two, paths)
    assert "engine of other will not start" in warning
    monkeypatch.setattr(host, "_installed", lambda _paths: two)
    down = host.kept_down(paths)
    assert down is not None
    assert (down.exit_code, "engine-other stays down" in down.cause) == (5, True)


def test_the_list_shows_models_whose_decisions_are_damaged_and_does_not_guess_which_serves(
    paths: SitePaths, engines: GatedEngines
) -> None:
    promote(paths, NAME, reason=WHY, engines=engines)
    paths.serving(NAME).write_text("{")
    rows = list_models(paths)
    assert [(row.bundle, row.state, row.served) for row in rows] == [
        ("1.0.0", "unknown", False),
        ("1.1.0", "unknown", False),
    ]
    assert all("cannot be read" in str(row.note) for row in rows)


def test_what_the_journal_left_open_about_a_damaged_decision_waits_until_it_is_restored(
    paths: SitePaths, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def note(*arguments: Any) -> None:
        if arguments[2] == "done":
            raise KeyboardInterrupt
        original(*arguments)

    original = model_switch.note
    with monkeypatch.context() as cut:
        cut.setattr(model_switch, "note", note)
        with pytest.raises(KeyboardInterrupt):
            promote(paths, NAME, reason=WHY, engines=engines)
    whole = paths.serving(NAME).read_bytes()
    paths.serving(NAME).write_bytes(whole[:-5])
    before = logged(paths)
    settle(load_site(paths.site_yaml), paths, engines)
    assert logged(paths) == before
    paths.serving(NAME).write_bytes(whole)
    settle(load_site(paths.site_yaml), paths, engines)
    assert logged(paths)[-1]["status"] == "Success"


def test_an_import_that_ends_a_model_which_serves_says_so(
    paths: SitePaths, engines: GatedEngines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*options: str) -> str:
        arguments = ["import", str(newer), *options]
        shown = CliRunner().invoke(commands, arguments, obj=paths.root, env={"COLUMNS": "200"})
        assert shown.exit_code == 0, shown.output
        return shown.stdout

    commands = typer.Typer()
    model_serve.register(commands)
    monkeypatch.setattr(model_import, "SupervisedEngines", lambda *_: engines)
    newer = site_of_models.make(tmp_path / "n", OLD, version="1.2.0", number=2, min_release=2)
    assert json.loads(run("--dry-run", "--output", "json"))["ended"] == []
    promote(paths, NAME, reason=WHY, engines=engines)
    foreseen = json.loads(run("--dry-run", "--output", "json"))["ended"]
    assert [found["name"] for found in foreseen] == [NAME]
    assert json.loads(run("--output", "json"))["ended"] == foreseen
    assert "number 1 is below 2" in foreseen[0]["reason"]
    text = run().replace("\n", " ")
    assert f"{NAME} serves what may not be chosen any more" in text
    assert f"sovereign model promote {NAME}" in text
    promote(paths, NAME, reason=WHY, engines=engines)
    assert json.loads(run("--output", "json"))["ended"] == []


def test_a_decision_that_the_log_hears_of_after_a_power_cut_names_its_waivers(
    paths: SitePaths, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def note(*arguments: Any) -> None:
        if arguments[2] == "done":
            raise KeyboardInterrupt
        original(*arguments)

    original = model_switch.note
    with monkeypatch.context() as cut:
        cut.setattr(model_switch, "note", note)
        with pytest.raises(KeyboardInterrupt):
            promote(paths, NAME, reason=WHY, engines=engines)
    settle(load_site(paths.site_yaml), paths, engines)
    entry = logged(paths)[-1]
    assert (entry["status"], entry["waived"]) == ("Success", ["producer-verified", "conversion-closed"])


def test_what_a_release_brought_meanwhile_is_what_a_rollback_returns_to(
    paths: SitePaths, engines: GatedEngines, tmp_path: Path
) -> None:
    promote(paths, NAME, reason=WHY, engines=engines)
    rollback(paths, NAME, reason=WHY, engines=engines)
    site_of_models.activate(paths, tmp_path / "second", OLD, "2.0.0", 2)
    promote(paths, NAME, reason=WHY, engines=engines)
    assert rollback(paths, NAME, reason=WHY, engines=engines).source == "release 2.0.0"


def test_a_damaged_bundle_is_put_right_by_bringing_it_again(
    paths: SitePaths, made: Path, engines: GatedEngines
) -> None:
    shelf = Store(paths.store, SHELF)
    (record,) = shelf.records()
    shelf.path(record.index).write_bytes(b"{}")
    with pytest.raises(DigestMismatchError):
        shelf.open_record(record)
    bring(paths, made / "models", rehearse=False, engines=engines)
    assert shelf.open_record(record).version == "1.1.0"


def test_at_boot_a_trial_is_taken_away_under_the_lock_and_before_secrets_are_unsealed(
    paths: SitePaths, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(*_: Any) -> None:
        seen.append(read_decisions(paths, NAME))
        with pytest.raises(SiteBusyError), site_lock(paths):
            pass

    seen: list[Decisions] = []
    put_on_trial(paths, engines)
    monkeypatch.setattr(host, "prepare_runtime", prepare)
    host.unseal(paths, passphrase=bytes)
    assert seen == [Decisions()]


def test_a_boot_unit_that_a_command_started_takes_no_trial_from_it_and_does_not_wait_for_it(
    paths: SitePaths, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Decisions] = []
    put_on_trial(paths, engines)
    trial = read_decisions(paths, NAME)
    monkeypatch.setattr(host, "prepare_runtime", lambda *_: seen.append(read_decisions(paths, NAME)))
    with site_lock(paths):
        host.unseal(paths, passphrase=bytes)
    assert seen == [trial]
    assert trial.trial is not None


def test_a_full_disk_does_not_hide_why_a_model_was_refused(
    paths: SitePaths, made: Path, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise DeploymentError("no space left on device")

    for module in (model_switch, model_import):
        monkeypatch.setattr(module, "note", full)
    (paths.policies / "waivers" / "1.json").unlink()
    for act in (
        lambda: promote(paths, NAME, reason=WHY, engines=engines),
        lambda: bring(paths, made / "models", rehearse=False, engines=engines),
    ):
        with pytest.raises(ModelRefusedError, match="producer-verified") as caught:
            act()
        assert "no space left" in caught.value.__notes__[0]


@pytest.fixture
def newer(paths: SitePaths, engines: GatedEngines, tmp_path: Path) -> str:
    """A newer bundle with the same model as the release's."""
    bundle = site_of_models.make(tmp_path / "newer", OLD, version="1.2.0", number=2)
    bring(paths, bundle, rehearse=False, engines=engines)
    return "1.2.0"


def spoil(paths: SitePaths, version: str) -> None:
    shelf = Store(paths.store, SHELF)
    record = next(r for r in shelf.records() if r.version == version)
    shelf.path(str(record.index)).write_bytes(b"{}")


def test_a_damaged_old_bundle_is_named_and_the_others_are_listed_and_promoted(
    paths: SitePaths, engines: GatedEngines, newer: str
) -> None:
    promote(paths, NAME, digest_of(NEW), reason=WHY, engines=engines)
    spoil(paths, "1.1.0")
    shown = CliRunner().invoke(app, ["list", "--output", "json"], obj=paths.root)
    assert shown.exit_code == 0, shown.output
    assert [row["bundle"] for row in json.loads(shown.stdout)] == ["1.0.0", newer]
    assert "bundle 1.1.0 is damaged" in shown.stderr
    assert "import that bundle again" in shown.stderr
    done = promote(paths, NAME, reason=WHY, engines=engines)
    assert (done.source, done.former) == (f"bundle {newer}", digest_of(NEW))
    with pytest.raises(ArtifactError, match=r"bundle 1\.1\.0 is damaged") as caught:
        rollback(paths, NAME, reason=WHY, engines=engines)
    assert caught.value.hint == "import that bundle again"


def test_a_damaged_newest_bundle_does_not_make_an_older_model_the_newest(
    paths: SitePaths, engines: GatedEngines, newer: str
) -> None:
    spoil(paths, newer)
    before = bundles.tree(paths.root)
    with pytest.raises(ArtifactError, match=r"bundle 1\.2\.0 is damaged"):
        promote(paths, NAME, reason=WHY, engines=engines)
    assert bundles.tree(paths.root) == before
    assert promote(paths, NAME, digest_of(NEW), reason=WHY, engines=engines).source == "bundle 1.1.0"


def test_a_bundle_that_others_signed_again_is_logged_again(
    paths: SitePaths, made: Path, engines: GatedEngines, tmp_path: Path
) -> None:
    chain = {**model_bundles.roots(), 3: model_bundles.granting(3, SUCCESSORS)}
    again = shutil.copytree(made / "models", tmp_path / "again")
    shutil.rmtree(again / "metadata")
    model_bundles.sign(again, *SUCCESSORS, chain=chain, now=site_of_models.soon())
    assert bring(paths, again, rehearse=False, engines=engines).new == 1
    assert logged(paths)[-1]["signers"] == list(SUCCESSORS)


@pytest.mark.parametrize("reason", ["\x1b[2J", "one\ntwo", os.fsdecode(b"\xff")])
def test_a_reason_that_could_steer_a_terminal_or_has_no_spelling_is_a_mistake(
    paths: SitePaths, engines: GatedEngines, reason: str
) -> None:
    with pytest.raises(UsageError, match="printable"):
        promote(paths, NAME, reason=reason, engines=engines)
