"""The stage of the cluster's journeys: two hosts on a bridge with no way out (`make test-cluster`, as root)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.errors import DeploymentError
from lab.lab import Lab, scratch_folder
from tests.e2e.two_hosts.administrator import Desk
from tests.e2e.two_hosts.clusters import LabSite, empty_parts
from tests.e2e.two_hosts.hosts import NODES, assert_same, contents

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Two hosts; those of a folder named in SOVEREIGN_TEST_LAB stay, for whoever works on the journeys themselves."""
    if os.geteuid() != 0:
        pytest.skip("needs root: hosts are machines with kernel namespaces of their own")
    kept = os.environ.get("SOVEREIGN_TEST_LAB")
    if kept:
        own = Lab(Path(kept))
        own.up(2)
        yield own
        return
    made = Lab(scratch_folder())
    try:
        made.up(2)
        yield made
    finally:
        made.down()


@pytest.fixture(scope="session")
def desk(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Both hosts after one command; when all journeys on them have ended, they are as they were before it."""
    found = Desk(lab, tmp_path_factory.mktemp("desk"))
    found.prepare()
    before = contents(lab)
    assert set(found.install()["changed"]) == set(NODES)
    yield found
    stranger = LabSite(lab, found.folder, empty_parts(found.folder), "another-site")
    with pytest.raises(DeploymentError, match="belongs to another site"):
        stranger.run("removal.yml")
    found.sovereign("uninstall", "--yes", "--discard-log")
    assert_same(contents(lab), before)
    assert not found.site.exists()
