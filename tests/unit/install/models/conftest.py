"""A site that runs, copied for every test: with a bundle of models beside it, or in its store."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.install import decisions
from appliance.install.model_import import bring
from appliance.site.paths import SitePaths
from tests import site_of_models
from tests.site_of_models import GatedEngines
from tests.unit.models.small_release import NAME

if TYPE_CHECKING:
    from pathlib import Path


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
    monkeypatch.setattr(decisions, "answers", lambda _probe: True)
    monkeypatch.setattr(decisions, "spool", lambda *_: 0)
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
