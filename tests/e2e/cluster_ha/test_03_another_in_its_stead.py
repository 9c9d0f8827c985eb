"""A control plane that is lost for good is replaced by another host, with the site file alone (N=4 and more)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.cluster_ha.conftest import HOSTS
from tests.e2e.cluster_ha.desk import BALANCED, MEMBERS
from tests.e2e.two_hosts.kubernetes import until

if TYPE_CHECKING:
    from tests.e2e.cluster_ha.control_planes import ControlPlanes
    from tests.e2e.cluster_ha.desk import HighDesk

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(len(MEMBERS) >= HOSTS, reason="no host is left to take a place; N=4 has one"),
]
LOST, NEW = "node3", "node4"
STAYING = ("node1", "node2")


def test_the_new_host_is_a_member_and_the_lost_one_none(planes: ControlPlanes, desk: HighDesk) -> None:
    desk.lab.cut_power(LOST)
    desk.describe(members=(*STAYING, NEW))
    with planes.asked() as silence:
        assert desk.install()["silent"] == [LOST]  # all is done but that it is not clean
    assert silence.answers
    assert planes.members("node1") == {*STAYING, NEW}
    until(lambda: planes.nodes("node1") == dict.fromkeys((*STAYING, NEW), True), "the three hosts were ready")


def test_the_lost_host_may_come_back_and_takes_nothing(planes: ControlPlanes, desk: HighDesk) -> None:
    desk.lab.start(LOST)
    with planes.asked() as silence:
        if not BALANCED:
            until(lambda: _tried_to_serve(planes), "the lost host's keepalived had looked for its API server")
    assert LOST not in planes.holders()
    assert len(planes.holders()) == (0 if BALANCED else 1)
    assert silence.seconds < 30
    assert planes.members("node1") == {*STAYING, NEW}


def test_it_takes_its_place_again_and_the_other_leaves_in_order(planes: ControlPlanes, desk: HighDesk) -> None:
    desk.describe()
    desk.install()
    assert planes.members("node1") == set(MEMBERS)
    until(lambda: planes.nodes("node1") == dict.fromkeys(MEMBERS, True), "the three hosts were ready")
    gone = desk.lab.host(NEW).run(["sh", "-c", "ls -d /etc/kubernetes /etc/sovereign /var/lib/etcd"], check=False)
    assert not gone.stdout.strip()


def _tried_to_serve(planes: ControlPlanes) -> bool:
    said = planes.lab.host(LOST).run(["journalctl", "--boot", "--unit=keepalived.service"]).stdout
    return "FAULT" in said
