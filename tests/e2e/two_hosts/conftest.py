"""The stage of the cluster's journeys: two hosts on a bridge with no way out (`make test-cluster`, as root)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two hosts; those of a folder named in SOVEREIGN_TEST_LAB stay, for whoever works on the journeys themselves."""
    if os.geteuid() != 0:
        pytest.skip("needs root: hosts are machines with kernel namespaces of their own")
    kept = os.environ.get("SOVEREIGN_TEST_LAB")
    if kept:
        own = Lab(Path(kept))
        own.up(2)
        yield own
        return
    made = Lab(tmp_path_factory.mktemp("lab") / "hosts")
    try:
        made.up(2)
        yield made
    finally:
        made.down()
