"""The fixtures of the unit tests, and the demo release: these tests start real clients with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.release import BuiltBundle, build_release
from airgap_bundle.build.stage import silent
from tests.integration.build.real_release import cache_is_warm, snapshot
from tests.unit.build.conftest import make_release, shared_cache, synthetic

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["make_release", "shared_cache", "synthetic"]


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as it is now, so that an edit while the tests run changes nothing."""
    return snapshot(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="session")
def built(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> BuiltBundle:
    cache = BuildCache.default()
    if not cache_is_warm(cache):
        pytest.skip("the builder's cache is cold: `sovereign bundle build --out DIR` fills it in minutes")
    return build_release(tree, tmp_path_factory.mktemp("real") / "bundle", cache=cache, stage=silent)
