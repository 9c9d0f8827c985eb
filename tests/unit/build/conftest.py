"""Fixtures: a small locked release, anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airgap_bundle.build.cache import BuildCache
from tests.unit.build.synthetic_release import Synthetic, make_synthetic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> BuildCache:
    """Validating an SBOM takes a second: derived once for all tests."""
    return BuildCache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _not_the_builders_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOVEREIGN_CACHE", str(tmp_path / "default-cache"))


@pytest.fixture
def synthetic(tmp_path: Path, shared_cache: BuildCache) -> Synthetic:
    return make_synthetic(tmp_path, shared_cache)


@pytest.fixture
def make_release() -> Callable[[Path], Synthetic]:
    """Makes the same release anywhere."""
    return make_synthetic
