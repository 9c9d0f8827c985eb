"""A bundle of models is brought to a running site: kept and judged, or refused without a trace."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner

from airgap_bundle.digest import sha256
from airgap_bundle.errors import DigestMismatchError, NotEnoughSignersError, RollbackError, StoreError, UnsignedError
from appliance.cli import model_serve
from appliance.errors import DeploymentError, UsageError
from appliance.install import decisions, model_import
from appliance.install.model_import import bring
from appliance.install.model_switch import promote
from appliance.models.errors import ModelRefusedError
from tests import bundles, model_bundles, site_of_models
from tests.site_of_models import NEW, OLD, GatedEngines, digest_of
from tests.unit.install.models.desk import SUCCESSORS, WHY, logged, served, unchanged
from tests.unit.models.small_release import NAME

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appliance.site.paths import SitePaths


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


def test_an_older_bundle_is_refused(brought: SitePaths, engines: GatedEngines, models: Path, tmp_path: Path) -> None:
    bring(brought, site_of_models.make(tmp_path / "n", version="1.2.0", number=2), rehearse=False, engines=engines)
    with unchanged(brought), pytest.raises(RollbackError):
        bring(brought, models, rehearse=False, engines=engines)
    assert logged(brought)[-1] == {**logged(brought)[-1], "action": "import", "status": "Failure"}


def _strip(bundle: Path, name: str) -> None:
    path = bundle / "metadata/models.json"
    value = json.loads(path.read_bytes())
    theirs = {key.keyid for key in bundles.signer(name).public.keys}
    value["signatures"] = [s for s in value["signatures"] if s["keyid"] not in theirs]
    path.write_text(json.dumps(value))


REFUSED: dict[str, tuple[Callable[[Path], object], type[Exception]]] = {
    "unsigned": (lambda bundle: (bundle / "metadata/models.json").unlink(), UnsignedError),
    "signed by one": (lambda bundle: _strip(bundle, "deputy"), NotEnoughSignersError),
    "a damaged blob": (
        lambda bundle: bundles.blob_file(bundle, sha256(NEW)).write_bytes(bytes(len(NEW))),
        DigestMismatchError,
    ),
    "no bundle": (lambda bundle: (bundle / "release.json").unlink(), UsageError),
}


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


def test_without_the_log_nothing_is_done(
    paths: SitePaths, engines: GatedEngines, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "answers", lambda _probe: False)
    before = bundles.tree(paths.root)
    with pytest.raises(DeploymentError, match="not logged is not done"):
        bring(paths, models, rehearse=False, engines=engines)
    assert bundles.tree(paths.root) == before


def test_an_import_that_ends_a_model_which_serves_says_so(
    brought: SitePaths, engines: GatedEngines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*options: str) -> str:
        arguments = ["import", str(newer), *options]
        shown = CliRunner().invoke(commands, arguments, obj=brought.root, env={"COLUMNS": "200"})
        assert shown.exit_code == 0, shown.output
        return shown.stdout

    commands = typer.Typer()
    model_serve.register(commands)
    monkeypatch.setattr(model_import, "SupervisedEngines", lambda *_: engines)
    newer = site_of_models.make(tmp_path / "n", OLD, version="1.2.0", number=2, min_release=2)
    assert json.loads(run("--dry-run", "--output", "json"))["ended"] == []
    promote(brought, NAME, reason=WHY, engines=engines)
    foreseen = json.loads(run("--dry-run", "--output", "json"))["ended"]
    assert [found["name"] for found in foreseen] == [NAME]
    assert json.loads(run("--output", "json"))["ended"] == foreseen
    assert "number 1 is below 2" in foreseen[0]["reason"]
    text = run().replace("\n", " ")
    assert f"{NAME} serves what may not be chosen any more" in text
    assert f"sovereign model promote {NAME}" in text
    promote(brought, NAME, reason=WHY, engines=engines)
    assert json.loads(run("--output", "json"))["ended"] == []


def test_a_bundle_that_others_signed_again_is_logged_again(
    brought: SitePaths, models: Path, engines: GatedEngines, tmp_path: Path
) -> None:
    chain = {**model_bundles.roots(), 3: model_bundles.granting(3, SUCCESSORS)}
    again = shutil.copytree(models, tmp_path / "again")
    shutil.rmtree(again / "metadata")
    model_bundles.sign(again, *SUCCESSORS, chain=chain, now=site_of_models.soon())
    assert bring(brought, again, rehearse=False, engines=engines).new == 1
    assert logged(brought)[-1]["signers"] == list(SUCCESSORS)
