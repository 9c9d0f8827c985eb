from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bundles import make
from tests.media_sets import FILES

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed bundle of some 400 KiB; not to be changed."""
    return make(tmp_path_factory.mktemp("media") / "bundle", files=FILES)
