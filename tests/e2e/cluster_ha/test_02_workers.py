"""Workers come and go with the site file: added, drained, removed, each by the same command (N=4 and more)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cluster_ha.conftest import HOSTS
from tests.e2e.cluster_ha.desk import MEMBERS
from tests.e2e.two_hosts.kubernetes import POD, until

if TYPE_CHECKING:
    from tests.e2e.cluster_ha.control_planes import ControlPlanes
    from tests.e2e.cluster_ha.desk import HighDesk

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(len(MEMBERS) >= HOSTS, reason="no host is left to be a worker; N=4 has one"),
]
WORKER = "node4"


def test_a_host_that_the_site_file_names_becomes_a_worker(planes: ControlPlanes, desk: HighDesk) -> None:
    desk.describe(workers=[WORKER])
    changed = desk.install()["changed"]
    assert changed[WORKER] > 0
    until(lambda: planes.nodes("node1").get(WORKER) is True, "the worker was ready")
    assert desk.install()["changed"] == dict.fromkeys([*MEMBERS, WORKER], 0)


def test_a_host_that_it_names_no_more_is_drained_and_removed(planes: ControlPlanes, desk: HighDesk) -> None:
    sandbox = json.loads(planes.kubectl("node1", "get", "node", WORKER, "--output=json"))["status"]["images"]
    image = next(name for listed in sandbox for name in listed["names"] if "/pause:" in name)
    pod = json.loads(json.dumps(POD))
    pod["spec"]["containers"][0]["image"] = image
    template = {"metadata": {"labels": {"app": "guest"}}, "spec": pod["spec"]}
    wanted = {"replicas": 1, "selector": {"matchLabels": {"app": "guest"}}, "template": template}
    guest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "guest"}, "spec": wanted}
    planes.kubectl("node1", "apply", "--filename=-", stdin=json.dumps(guest))
    planes.kubectl("node1", "rollout", "status", "deployment/guest", "--timeout=300s")
    desk.describe()
    desk.install()
    assert set(planes.nodes("node1")) == set(MEMBERS)
    where = ("get", "pods", "--selector=app=guest", f"--field-selector=spec.nodeName={WORKER}", "--output=name")
    assert not planes.kubectl("node1", *where).strip()
    gone = desk.lab.host(WORKER).run(["sh", "-c", "ls -d /etc/kubernetes /etc/sovereign /var/lib/kubelet"], check=False)
    assert not gone.stdout.strip()
    planes.kubectl("node1", "delete", "deployment", "guest")
    assert desk.install()["changed"] == dict.fromkeys(MEMBERS, 0)
