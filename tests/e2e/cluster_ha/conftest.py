"""The stage of three control planes: hosts on a bridge with no way out (`make test-cluster-ha N=3`, as root)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.lab import Lab, scratch_folder
from tests.e2e.cluster_ha.control_planes import ControlPlanes
from tests.e2e.cluster_ha.desk import MEMBERS, HighDesk
from tests.e2e.two_hosts.hosts import assert_same, contents

if TYPE_CHECKING:
    from collections.abc import Iterator

HOSTS = int(os.environ.get("SOVEREIGN_TEST_HOSTS") or len(MEMBERS))
"""How many hosts there are; what is more than three are workers that come and go."""


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The hosts; those of a folder named in SOVEREIGN_TEST_LAB stay, for whoever works on the journey itself."""
    if os.geteuid() != 0:
        pytest.skip("needs root: hosts are machines with kernel namespaces of their own")
    kept = os.environ.get("SOVEREIGN_TEST_LAB")
    made = Lab(Path(kept) if kept else scratch_folder())
    try:
        made.up(HOSTS)
        yield made
    finally:
        if not kept:
            made.down()


@pytest.fixture(scope="session")
def desk(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HighDesk]:
    """Three control planes after one command; when all journeys have ended, hosts are as they were before it."""
    found = HighDesk(lab, tmp_path_factory.mktemp("desk"))
    found.prepare()
    names = tuple(seat.node.name for seat in lab.state().seats)
    before = contents(lab, names)
    assert set(found.install()["changed"]) == set(MEMBERS)
    yield found
    found.sovereign("uninstall", "--yes")
    assert_same(contents(lab, names), before)
    assert not found.site.exists()


@pytest.fixture(scope="session")
def planes(desk: HighDesk) -> ControlPlanes:
    return ControlPlanes(desk.lab)
