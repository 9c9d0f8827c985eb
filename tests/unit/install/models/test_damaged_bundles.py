"""Damaged bundles of models and records are named, with their remedy, and cost no other model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from airgap_bundle.errors import DigestMismatchError, ReleaseConflictError, StoreError
from airgap_bundle.model_bundle import SHELF
from airgap_bundle.store import Store
from appliance.cli.model import app
from appliance.errors import UsageError
from appliance.install.model_import import bring
from appliance.install.model_list import list_models
from appliance.install.model_switch import promote, rollback
from appliance.install.status_warnings import model_warnings
from appliance.models.admission import admit_model
from appliance.models.errors import ArtifactError
from appliance.site.load import load_site
from tests import bundles, model_bundles, site_of_models
from tests.site_of_models import NEW, OLD, GatedEngines, digest_of
from tests.unit.install.models.desk import WHY
from tests.unit.models.small_release import NAME

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appliance.site.paths import SitePaths


def test_a_damaged_bundle_is_put_right_by_bringing_it_again(
    brought: SitePaths, models: Path, engines: GatedEngines
) -> None:
    shelf = Store(brought.store, SHELF)
    (record,) = shelf.records()
    shelf.path(record.index).write_bytes(b"{}")
    with pytest.raises(DigestMismatchError):
        shelf.open_record(record)
    bring(brought, models, rehearse=False, engines=engines)
    assert shelf.open_record(record).version == "1.1.0"


@pytest.fixture
def newer(brought: SitePaths, engines: GatedEngines, tmp_path: Path) -> str:
    """A newer bundle with the same model as the release's."""
    bundle = site_of_models.make(tmp_path / "newer", OLD, version="1.2.0", number=2)
    bring(brought, bundle, rehearse=False, engines=engines)
    return "1.2.0"


def spoil(brought: SitePaths, version: str) -> None:
    shelf = Store(brought.store, SHELF)
    record = next(r for r in shelf.records() if r.version == version)
    shelf.path(str(record.index)).write_bytes(b"{}")


def listed(paths: SitePaths) -> tuple[list[dict[str, Any]], str, str]:
    """Rows of the list as JSON, what is said beside them, and the table with its lines joined."""
    shown = [
        CliRunner().invoke(app, ["list", *more], obj=paths.root, env={"COLUMNS": "300"})
        for more in (["--output", "json"], [])
    ]
    assert [each.exit_code for each in shown] == [0, 0], shown[0].output
    return json.loads(shown[0].stdout), shown[0].stderr, shown[1].stdout.replace("\n", " ")


def test_a_damaged_old_bundle_is_named_and_the_others_are_listed_and_promoted(
    brought: SitePaths, engines: GatedEngines, newer: str
) -> None:
    promote(brought, NAME, digest_of(NEW), reason=WHY, engines=engines)
    spoil(brought, "1.1.0")
    rows, said, table = listed(brought)
    assert [(row["bundle"], row["state"]) for row in rows] == [
        ("1.0.0", "former"),
        (newer, "imported"),
        ("1.1.0", "damaged"),
    ]
    damaged = rows[-1]
    assert (damaged["served"], damaged["accepted"], damaged["signers"]) == (False, False, list(model_bundles.OFFICERS))
    for told in (damaged["note"], said, table):
        assert "bundle 1.1.0 is damaged" in told
        assert "from a backup, or bring its models in a newer bundle" in " ".join(told.split())
    done = promote(brought, NAME, reason=WHY, engines=engines)
    assert (done.source, done.former) == (f"bundle {newer}", digest_of(NEW))
    with pytest.raises(ArtifactError, match=r"bundle 1\.1\.0 is damaged") as caught:
        rollback(brought, NAME, reason=WHY, engines=engines)
    assert "from a backup" in str(caught.value.hint)


def test_a_damaged_newest_bundle_does_not_make_an_older_model_the_newest(
    brought: SitePaths, engines: GatedEngines, newer: str
) -> None:
    spoil(brought, newer)
    before = bundles.tree(brought.root)
    with pytest.raises(ArtifactError, match=r"bundle 1\.2\.0 is damaged"):
        promote(brought, NAME, reason=WHY, engines=engines)
    assert bundles.tree(brought.root) == before
    assert promote(brought, NAME, digest_of(NEW), reason=WHY, engines=engines).source == "bundle 1.1.0"


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _data: b"",
    "torn": lambda data: data[: len(data) // 2],
    "of another schema": lambda data: data.replace(b'"schema":1', b'"schema":2'),
    "without a number": lambda data: data.replace(b'"number":1', b'"number":"1"'),
    "about another version": lambda data: data.replace(b'"version":"1.1.0"', b'"version":"1.3.0"'),
}


def record(paths: SitePaths, version: str) -> Path:
    return Store(paths.store, SHELF).record_path(version)


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_record_is_named_and_vouches_for_nothing(
    brought: SitePaths, engines: GatedEngines, newer: str, what: str
) -> None:
    path = record(brought, "1.1.0")
    path.write_bytes(DAMAGES[what](path.read_bytes()))
    rows, said, table = listed(brought)
    assert [(row["bundle"], row["state"]) for row in rows] == [
        ("1.0.0", "serving"),
        (newer, "imported"),
        ("1.1.0", "damaged"),
    ]
    for told in (rows[-1]["note"], said, table):
        assert str(path) in told
        assert "import that bundle again" in " ".join(told.split())
    assert rows[-1]["note"] in model_warnings(load_site(brought.site_yaml), brought)
    before = bundles.tree(brought.root)
    with pytest.raises(UsageError, match="no model"):
        promote(brought, NAME, digest_of(NEW), reason=WHY, engines=engines)
    with pytest.raises(ArtifactError, match=r"bundle 1\.1\.0 is damaged.*may hold a newer"):
        promote(brought, NAME, reason=WHY, engines=engines)  # its number cannot be told
    assert bundles.tree(brought.root) == before


def test_others_are_promoted_and_rolled_back_beside_a_damaged_record(
    brought: SitePaths, engines: GatedEngines, newer: str, tmp_path: Path
) -> None:
    another = site_of_models.make(tmp_path / "a", OLD, template="{{ other }}", version="1.3.0", number=3)
    bring(brought, another, rehearse=False, engines=engines)
    record(brought, newer).write_bytes(b"{")
    artifact = next(row.artifact for row in list_models(brought) if row.bundle == "1.3.0")
    assert promote(brought, NAME, artifact, reason=WHY, engines=engines).source == "bundle 1.3.0"
    assert promote(brought, NAME, digest_of(NEW), reason=WHY, engines=engines).source == "bundle 1.1.0"
    assert rollback(brought, NAME, reason=WHY, engines=engines).source == "bundle 1.3.0"
    assert admit_model(NAME, brought).receipt["release"] == "1.3.0"


def test_a_model_whose_record_is_damaged_does_not_load_until_the_file_is_restored(
    brought: SitePaths, engines: GatedEngines
) -> None:
    promote(brought, NAME, reason=WHY, engines=engines)
    path = record(brought, "1.1.0")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(StoreError, match="cannot be read") as caught:
        admit_model(NAME, brought)
    assert "from a backup" in str(caught.value.hint)
    (warning, _) = model_warnings(load_site(brought.site_yaml), brought)
    assert f"the engine of {NAME} will not start" in warning
    path.write_bytes(whole)
    assert admit_model(NAME, brought).receipt["digest"] == digest_of(NEW)


def test_the_newest_bundle_brought_again_mends_its_record_and_another_of_that_version_does_not(
    brought: SitePaths, engines: GatedEngines, models: Path, tmp_path: Path
) -> None:
    path = record(brought, "1.1.0")
    whole = path.read_bytes()
    path.write_bytes(b"{}")
    before = bundles.tree(brought.store, brought.trust)
    other = site_of_models.make(tmp_path / "other", OLD, version="1.1.0", number=2)
    with pytest.raises(ReleaseConflictError, match=r"record of version 1\.1\.0 is damaged"):
        bring(brought, other, rehearse=False, engines=engines)
    assert bundles.tree(brought.store, brought.trust) == before
    bring(brought, models, rehearse=False, engines=engines)
    assert path.read_bytes() == whole
    assert [row.state for row in list_models(brought)] == ["serving", "imported"]


def test_pinning_again_does_not_take_a_floor_from_a_shelf_with_a_damaged_record(
    brought: SitePaths, tmp_path: Path
) -> None:
    record(brought, "1.1.0").write_bytes(b"{}")
    shutil.rmtree(brought.trust)
    before = bundles.tree(brought.store)
    release = bundles.sign(
        bundles.Draft(version="2.0.0", number=2).write(tmp_path / "again"),
        "architect",
        "builder",
        "release",
        roots=model_bundles.roots(),
    )
    with pytest.raises(StoreError, match="cannot be read"):
        bundles.Site(brought.root).install(release, pin=bundles.root_bytes())
    assert bundles.tree(brought.store) == before
