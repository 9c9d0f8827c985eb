"""Two sites under attack: one that has nothing yet, and one that runs release 2. Copies of templates made once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.bundles import Site, make, root_bytes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``release-1`` to ``release-3``, and ``site``, which imported release 2."""
    folder = tmp_path_factory.mktemp("templates")
    make(folder / "release-1", version="1.0.0", number=1)
    make(folder / "release-2", version="2.0.0", number=2)
    make(folder / "release-3", version="3.0.0", number=3, min_release=2)
    (folder / "site").mkdir()
    Site(folder / "site").install(folder / "release-2", pin=root_bytes())
    return folder


@pytest.fixture
def fresh(tmp_path: Path) -> Site:
    """A site that has imported nothing."""
    (tmp_path / "fresh").mkdir()
    return Site(tmp_path / "fresh")


@pytest.fixture
def site(tmp_path: Path, templates: Path) -> Site:
    """A site that has imported release 2."""
    return Site(shutil.copytree(templates / "site", tmp_path / "site"))


@pytest.fixture
def bundle(tmp_path: Path, templates: Path) -> Path:
    """Release 3, whole and sealed: what the attacker begins with."""
    return shutil.copytree(templates / "release-3", tmp_path / "release-3")


@pytest.fixture
def older(tmp_path: Path, templates: Path) -> Path:
    """Release 1, whole and sealed, older than what ``site`` runs."""
    return shutil.copytree(templates / "release-1", tmp_path / "release-1")
