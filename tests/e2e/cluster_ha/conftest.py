"""The stage of three control planes: hosts on a bridge with no way out (`make test-cluster-ha N=3`, as root)."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.lab import Lab, scratch_folder
from lab.switch import BRIDGE
from tests.e2e.cluster_ha.control_planes import ControlPlanes
from tests.e2e.cluster_ha.desk import API, BALANCED, MEMBERS, HighDesk
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
        with _balanced(made) if BALANCED else nullcontext():
            yield made
    finally:
        if not kept:
            made.down()


@contextmanager
def _balanced(lab: Lab) -> Iterator[None]:
    """A balancer beside the administrator, on the hosts' bridge, at an address of its own."""
    subprocess.run(lab.from_outside(["ip", "address", "replace", f"{API}/32", "dev", BRIDGE]), check=True)
    servers = [seat.node.address for seat in lab.state().seats]
    argv = lab.from_outside([sys.executable, "-m", "tests.e2e.cluster_ha.balancer", API, *servers])
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as balancer:
        assert balancer.stdout is not None
        assert balancer.stdout.readline() == "balancing\n"
        yield
        balancer.communicate("")


@pytest.fixture(scope="session")
def desk(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HighDesk]:
    """Three control planes after one command; when all journeys have ended, hosts are as they were before it."""
    found = HighDesk(lab, tmp_path_factory.mktemp("desk"))
    found.prepare()
    names = tuple(seat.node.name for seat in lab.state().seats)
    before = contents(lab, names)
    assert set(found.install()["changed"]) == set(MEMBERS)
    yield found
    found.sovereign("uninstall", "--yes", "--discard-log")
    assert_same(contents(lab, names), before)
    assert not found.site.exists()


@pytest.fixture(scope="session")
def planes(desk: HighDesk) -> ControlPlanes:
    return ControlPlanes(desk.lab)
