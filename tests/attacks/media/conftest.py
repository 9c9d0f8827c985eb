"""What a courier may do to media on the way, against a site that runs release 2."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.bundles import Site, make, root_bytes
from tests.media_sets import FILES

if TYPE_CHECKING:
    from pathlib import Path

NEXT = {**FILES, "policy": {"models.yaml": b"schema: 1\nlicences: []\n"}}


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``release-1`` to ``release-3``, of which only the policy differs in 3; ``site`` imported release 2."""
    folder = tmp_path_factory.mktemp("media-templates")
    make(folder / "release-1", version="1.0.0", number=1)
    make(folder / "release-2", version="2.0.0", number=2, files=FILES)
    make(folder / "release-3", version="3.0.0", number=3, files=NEXT)
    (folder / "site").mkdir()
    Site(folder / "site").install(folder / "release-2", pin=root_bytes())
    return folder


@pytest.fixture
def site(tmp_path: Path, templates: Path) -> Site:
    """A site that has imported release 2."""
    return Site(shutil.copytree(templates / "site", tmp_path / "site"))


@pytest.fixture
def fresh(tmp_path: Path) -> Site:
    """A site that has imported nothing."""
    (tmp_path / "fresh").mkdir()
    return Site(tmp_path / "fresh")


@pytest.fixture
def bundle(tmp_path: Path, templates: Path) -> Path:
    """Release 3, whole and sealed."""
    return shutil.copytree(templates / "release-3", tmp_path / "release-3")
