"""Two sites under attack: one that has nothing yet, and one that runs release 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bundles import Site, make, root_bytes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def fresh(tmp_path: Path) -> Site:
    """A site whose operator has typed root 1's fingerprint and imported nothing."""
    (tmp_path / "fresh").mkdir()
    return Site(tmp_path / "fresh")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site that has imported release 2."""
    (tmp_path / "site").mkdir()
    found = Site(tmp_path / "site")
    found.install(make(tmp_path / "release-2", version="2.0.0", number=2), pin=root_bytes())
    return found


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Release 3, whole and sealed: what the attacker begins with."""
    return make(tmp_path / "release-3", version="3.0.0", number=3, min_release=2)
