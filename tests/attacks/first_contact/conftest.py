"""A bundle and a desk for each attack: copies of what was made and signed once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.first_contact import Desk, bundle

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def signed_by_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole bundle; nobody writes into it."""
    return bundle(tmp_path_factory.mktemp("first-contact") / "bundle")


@pytest.fixture
def medium(tmp_path: Path, signed_by_two: Path) -> Path:
    """The attacker's copy of the bundle, on a path with spaces."""
    return shutil.copytree(signed_by_two, tmp_path / "my stick" / "bundle")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Where the operator sits."""
    (tmp_path / "desk").mkdir()
    return Desk(tmp_path / "desk")
