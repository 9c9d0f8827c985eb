"""Another model at a running site: brought, let serve, put back; refused without a trace; cut off at any moment."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from airgap_bundle.digest import sha256
from airgap_bundle.errors import DigestMismatchError, NotEnoughSignersError, RollbackError, StoreError, UnsignedError
from airgap_bundle.model_bundle import SHELF
from airgap_bundle.store import Store
from appliance.cli.model import app
from appliance.errors import DeploymentError, NotAllowedError, UsageError
from appliance.install import model_settle, model_switch, model_trial
from appliance.install.audit_spool import _event
from appliance.install.journal import read_journal
from appliance.install.model_check import check_models
from appliance.install.model_import import bring
from appliance.install.model_settle import settle
from appliance.install.model_switch import promote, rollback
from appliance.models.admission import admit_model, grounds
from appliance.models.errors import FileDigestError, ModelRefusedError
from appliance.models.serving import read_decisions
from appliance.site.load import load_site
from appliance.site.paths import SitePaths
from tests import bundles, model_bundles, site_of_models
from tests.site_of_models import NEW, OLD, GatedEngines, digest_of
from tests.unit.models.small_release import NAME, TEMPLATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

KILLED = 9
WHY = "the newer one answers in German"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site and a bundle for it, to be copied."""
    folder = tmp_path_factory.mktemp("made")
    site_of_models.install(folder / "site", folder)
    site_of_models.make(folder / "models")
    return folder


@pytest.fixture
def paths(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SitePaths:
    """The site; its audit log answers, and is looked at by what the journal would enter into it."""
    shutil.copytree(made / "site", tmp_path / "site", symlinks=True)
    monkeypatch.setattr(model_switch, "answers", lambda _probe: True)
    monkeypatch.setattr(model_switch, "spool", lambda *_: 0)
    return SitePaths(tmp_path / "site")


@pytest.fixture
def engines(paths: SitePaths) -> GatedEngines:
    """The site's engine, running."""
    found = GatedEngines(paths)
    found.start(NAME)
    return found


@pytest.fixture
def models(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "models", tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def brought(paths: SitePaths, engines: GatedEngines, models: Path) -> SitePaths:
    """The site with the new model in its store."""
    bring(paths, models, rehearse=False, engines=engines)
    return paths


def served(paths: SitePaths) -> str:
    """What an engine that starts now would serve."""
    model = admit_model(NAME, paths)
    model.close()
    return str(model.receipt["digest"])


def logged(paths: SitePaths) -> list[dict[str, Any]]:
    """The audit log's entries about models, as the journal gives them."""
    records = [r for r in read_journal(paths.journal) if r.step.startswith("model-") and r.state != "started"]
    events = [_event(record, "1.0.0") for record in records]
    return [{**e["unmapped"]["sovereign"], "status": e["status"], "name": e["ai_model"]["name"]} for e in events]


def unchanged(paths: SitePaths) -> AbstractContextManager[None]:
    """Every byte of the site but its journal is the same before and after."""

    class Same:
        def __enter__(self) -> None:
            self.before = self.tree()

        def __exit__(self, *_: object) -> None:
            assert self.tree() == self.before

        @staticmethod
        def tree() -> dict[str, str]:
            return {p: d for p, d in bundles.tree(paths.root).items() if not p.startswith(str(paths.journal.parent))}

    return Same()


def test_what_is_brought_is_kept_and_serves_nobody(paths: SitePaths, engines: GatedEngines, models: Path) -> None:
    done = bring(paths, models, rehearse=False, engines=engines)
    assert (done.new, done.rehearsed, done.bundle.signers) == (1, False, model_bundles.OFFICERS)
    assert served(paths) == digest_of(OLD) == engines.loaded[NAME]["digest"]
    (entry,) = logged(paths)
    assert (entry["action"], entry["status"], entry["bundle"]) == ("import", "Success", "1.1.0")
    assert entry["signers"] == list(model_bundles.OFFICERS)


def test_bringing_it_again_changes_nothing(brought: SitePaths, engines: GatedEngines, models: Path) -> None:
    before = bundles.tree(brought.root)
    assert bring(brought, models, rehearse=False, engines=engines).new == 0
    assert bundles.tree(brought.root) == before


def test_a_rehearsal_tells_everything_and_keeps_nothing(paths: SitePaths, engines: GatedEngines, models: Path) -> None:
    before = bundles.tree(paths.root)
    done = bring(paths, models, rehearse=True, engines=engines)
    assert done.rehearsed
    assert [held.weights for held, _ in done.models] == [digest_of(NEW)]
    assert bundles.tree(paths.root) == before


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


def test_an_older_bundle_is_refused(brought: SitePaths, engines: GatedEngines, models: Path, tmp_path: Path) -> None:
    bring(brought, site_of_models.make(tmp_path / "n", version="1.2.0", number=2), rehearse=False, engines=engines)
    with unchanged(brought), pytest.raises(RollbackError):
        bring(brought, models, rehearse=False, engines=engines)
    assert logged(brought)[-1] == {**logged(brought)[-1], "action": "import", "status": "Failure"}


REFUSED: dict[str, tuple[Callable[[Path], object], type[Exception]]] = {
    "unsigned": (lambda bundle: (bundle / "metadata/models.json").unlink(), UnsignedError),
    "signed by one": (lambda bundle: _strip(bundle, "deputy"), NotEnoughSignersError),
    "a damaged blob": (
        lambda bundle: bundles.blob_file(bundle, sha256(NEW)).write_bytes(bytes(len(NEW))),
        DigestMismatchError,
    ),
    "no bundle": (lambda bundle: (bundle / "release.json").unlink(), UsageError),
}


def _weights(bundle: Path) -> Path:
    return bundles.blob_file(bundle, sha256(NEW))


def _strip(bundle: Path, name: str) -> None:
    path = bundle / "metadata/models.json"
    value = json.loads(path.read_bytes())
    theirs = {key.keyid for key in bundles.signer(name).public.keys}
    value["signatures"] = [s for s in value["signatures"] if s["keyid"] not in theirs]
    path.write_text(json.dumps(value))


@pytest.mark.parametrize("what", REFUSED)
def test_a_refused_bundle_changes_nothing(paths: SitePaths, engines: GatedEngines, models: Path, what: str) -> None:
    spoil, error = REFUSED[what]
    spoil(models)
    with unchanged(paths), pytest.raises(error):
        bring(paths, models, rehearse=False, engines=engines)


def test_a_model_that_policy_refuses_is_not_kept(paths: SitePaths, engines: GatedEngines, tmp_path: Path) -> None:
    foreign = site_of_models.make(tmp_path / "m", licence={"spdx": "LicenseRef-Unknown", "files": ["GEMMA_TERMS.html"]})
    with unchanged(paths), pytest.raises(ModelRefusedError, match="licence-accepted"):
        bring(paths, foreign, rehearse=False, engines=engines)
    assert logged(paths)[-1]["status"] == "Failure"


def test_a_disk_without_room_is_told_before_anything_is_written(
    paths: SitePaths, engines: GatedEngines, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = os.statvfs_result((4096, 4096, 100, 0, 0, 100, 100, 100, 0, 255))
    monkeypatch.setattr("airgap_bundle.intake.os.statvfs", lambda _path: full)
    with unchanged(paths), pytest.raises(StoreError, match="bytes more"):
        bring(paths, models, rehearse=False, engines=engines)


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


def test_without_the_log_nothing_is_done(
    paths: SitePaths, engines: GatedEngines, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_switch, "answers", lambda _probe: False)
    before = bundles.tree(paths.root)
    with pytest.raises(DeploymentError, match="not logged is not done"):
        bring(paths, models, rehearse=False, engines=engines)
    assert bundles.tree(paths.root) == before


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


def moments(monkeypatch: pytest.MonkeyPatch, engines: GatedEngines, wanted: int) -> None:
    """Kill this process, as a power cut would, at the ``wanted`` moment: before or after anything that lasts."""
    count = 0

    def tick() -> None:
        nonlocal count
        if count == wanted:
            os._exit(KILLED)
        count += 1

    def around(act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*arguments: Any, **more: Any) -> Any:
            tick()
            result = act(*arguments, **more)
            tick()
            return result

        return acted

    for module, name in ((model_switch, "note"), (model_trial, "write_decisions"), (model_settle, "note")):
        monkeypatch.setattr(module, name, around(getattr(module, name)))
    for name in ("stop", "start"):
        monkeypatch.setattr(engines, name, around(getattr(engines, name)))


def killed(monkeypatch: pytest.MonkeyPatch, engines: GatedEngines, wanted: int, act: Callable[[], object]) -> bool:
    """Do ``act`` in a process that is killed at the ``wanted`` moment; whether it came to that."""
    child = os.fork()
    if child == 0:
        moments(monkeypatch, engines, wanted)
        act()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED


@pytest.fixture
def copies(brought: SitePaths, tmp_path: Path) -> Iterator[Callable[[int], SitePaths]]:
    """The site again, as often as it is asked for."""

    def copy(number: int) -> SitePaths:
        shutil.copytree(brought.root, tmp_path / str(number), symlinks=True)
        return SitePaths(tmp_path / str(number))

    return copy


def test_a_promotion_that_is_cut_off_anywhere_leaves_the_former_or_the_new_and_can_be_repeated(
    copies: Callable[[int], SitePaths], monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = []
    for moment in range(100):
        paths = copies(moment)
        engines = GatedEngines(paths)
        engines.start(NAME)
        if not killed(monkeypatch, engines, moment, lambda p=paths, e=engines: promote(p, NAME, reason=WHY, engines=e)):
            break
        engines.start(NAME)  # a process of its own: it has loaded whatever it found
        settle(load_site(paths.site_yaml), paths, engines)
        decisions = read_decisions(paths, NAME)
        assert decisions.trial is None
        assert engines.loaded[NAME]["digest"] == served(paths)
        records = [r for r in read_journal(paths.journal) if r.step == "model-promote"]
        assert not records or records[-1].state == ("done" if served(paths) == digest_of(NEW) else "failed")
        outcomes.append(served(paths))
        assert promote(paths, NAME, reason=WHY, engines=engines).digest == digest_of(NEW)
        assert engines.loaded[NAME]["digest"] == served(paths) == digest_of(NEW)
    assert len(outcomes) >= 10
    assert outcomes == sorted(outcomes, key=[digest_of(OLD), digest_of(NEW)].index)
    assert set(outcomes) == {digest_of(OLD), digest_of(NEW)}


def test_an_import_that_is_cut_off_before_the_journal_heard_of_it_is_entered_by_the_next(
    paths: SitePaths, engines: GatedEngines, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert killed(monkeypatch, engines, 0, lambda: bring(paths, models, rehearse=False, engines=engines))
    assert Store(paths.store, SHELF).releases() == ("1.1.0",)
    assert logged(paths) == []
    assert bring(paths, models, rehearse=False, engines=engines).new == 0
    (entry,) = logged(paths)
    assert (entry["action"], entry["reason"]) == ("import", "Interrupted")


def rows(paths: SitePaths) -> list[dict[str, Any]]:
    done = CliRunner().invoke(app, ["list", "--output", "json"], obj=paths.root)
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_the_list_tells_state_since_when_by_whom_and_what_policy_says(
    brought: SitePaths, engines: GatedEngines
) -> None:
    assert [(row["state"], row["digest"]) for row in rows(brought)] == [
        ("serving", digest_of(OLD)),
        ("imported", digest_of(NEW)),
    ]
    promote(brought, NAME, reason=WHY, engines=engines)
    former, serving = rows(brought)
    assert (former["state"], serving["state"]) == ("former", "serving")
    assert serving["reason"] == WHY
    assert serving["by"] == model_switch.operator()
    assert serving["since"] == read_decisions(brought, NAME).made[-1].since
    assert serving["signers"] == list(model_bundles.OFFICERS)
    assert serving["verdict"].startswith("waived until")
    (brought.policies / "waivers" / "0.json").unlink()
    assert rows(brought)[0]["verdict"] == "refused: producer-verified, conversion-closed"
    table = CliRunner().invoke(app, ["list"], obj=brought.root).stdout
    assert digest_of(NEW)[7:15] in table.replace("\n", "")


def test_verify_and_inspect_are_about_what_serves_or_about_a_digest(brought: SitePaths, engines: GatedEngines) -> None:
    def signers(*options: str) -> list[str]:
        done = CliRunner().invoke(app, ["inspect", NAME, "--output", "json", *options], obj=brought.root)
        assert done.exit_code == 0, done.output
        return list(json.loads(done.stdout)["signers"])

    assert signers() == ["architect", "builder"]
    assert signers("--digest", digest_of(NEW)) == list(model_bundles.OFFICERS)
    promote(brought, NAME, reason=WHY, engines=engines)
    assert signers() == list(model_bundles.OFFICERS)
    assert CliRunner().invoke(app, ["verify", NAME], obj=brought.root).exit_code == 0
