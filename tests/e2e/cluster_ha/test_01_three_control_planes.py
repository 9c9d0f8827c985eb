"""Three control planes behind one address: any one of them may go, the cluster takes changes, and it comes back.

The address is one that they share, or a balancer's of the site (`make test-cluster-ha BALANCED=1`).
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cluster_ha.desk import API, BALANCED, MEMBERS
from tests.e2e.two_hosts.kubernetes import until

if TYPE_CHECKING:
    from tests.e2e.cluster_ha.control_planes import ControlPlanes
    from tests.e2e.cluster_ha.desk import HighDesk

pytestmark = pytest.mark.cluster
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3, (sys.argv[3], 0))"
MOST_SILENCE_S = 60.0
"""While both cores are busy with starting what a host lost; keepalived itself needs four seconds after a power cut."""


def test_three_members_vote_and_one_host_has_the_shared_address_or_none_the_balancer_s(planes: ControlPlanes) -> None:
    until(lambda: planes.nodes("node1") == dict.fromkeys(MEMBERS, True), "all three hosts were ready")
    assert planes.members("node1") == set(MEMBERS)
    assert len(planes.holders()) == (0 if BALANCED else 1)


def test_any_host_says_the_same_through_the_one_address(planes: ControlPlanes) -> None:
    for name in MEMBERS:
        assert set(planes.nodes(name)) == set(MEMBERS)
        named = planes.kubectl(name, "config", "view", "--output=jsonpath={.clusters[0].cluster.server}")
        assert named == f"https://{API}:6443"


def test_names_are_told_by_more_than_one_host(planes: ControlPlanes) -> None:
    where = ("get", "pods", "--namespace=kube-system", "--selector=k8s-app=kube-dns", "--output=json")

    def hosts() -> set[str]:
        pods = json.loads(planes.kubectl("node1", *where))["items"]
        return {pod["spec"]["nodeName"] for pod in pods if pod["status"]["phase"] == "Running"}

    until(lambda: len(hosts()) > 1, "names were told by two hosts")


def test_nothing_of_tokens_and_keys_stays_where_hosts_entered(planes: ControlPlanes) -> None:
    for name in MEMBERS:
        found = planes.lab.host(name).run(["find", "/run", "/root", "/tmp", "-xdev", "-name", "*sovereign-*.yaml"])
        assert not found.stdout.strip()


def test_a_secret_is_read_by_each_api_server_alike(planes: ControlPlanes) -> None:
    planes.kubectl("node1", "create", "secret", "generic", "sealed", "--from-literal=word=told-by-all")
    for name in MEMBERS:
        own = f"--server=https://{planes.lab.state().seat(name).node.address}:6443"
        told = planes.kubectl(name, own, "get", "secret", "sealed", "--output=jsonpath={.data.word}")
        assert base64.b64decode(told) == b"told-by-all"


def test_a_second_run_changes_nothing(desk: HighDesk) -> None:
    assert desk.install()["changed"] == dict.fromkeys(MEMBERS, 0)


@pytest.mark.skipif(not BALANCED, reason="no balancer is there; BALANCED=1 has one")
def test_a_balancer_reaches_the_api_alone_and_hosts_reach_the_balancer_there_alone(planes: ControlPlanes) -> None:
    """Its address is beyond the cluster, where everything is refused else; at 6444 it would answer as well."""
    for name in MEMBERS:
        address = planes.lab.state().seat(name).node.address
        for port, reached in ((6443, True), (22, False), (2379, False), (10250, False)):
            argv = planes.lab.from_outside([sys.executable, "-c", CONNECT, address, str(port), API])
            assert (subprocess.run(argv, capture_output=True, check=False).returncode == 0) == reached, (name, port)
        for port, reached in ((6443, True), (6444, False)):
            argv = ["python3", "-c", CONNECT, API, str(port), address]
            done = planes.lab.host(name).run(argv, check=False)
            assert (done.returncode == 0) == reached, (name, port, done.stderr)


def test_without_the_host_that_has_the_address_another_answers_and_takes_changes(
    planes: ControlPlanes, desk: HighDesk
) -> None:
    """Behind a balancer, without the host that began."""
    lost = MEMBERS[0] if BALANCED else planes.holders()[0]
    one, other = planes.others(lost)
    with planes.asked() as silence:
        desk.lab.cut_power(lost)
        if not BALANCED:
            until(lambda: planes.holders() in ([one], [other]), "another host had the shared address")
        until(lambda: _answers(planes, one), "the API answered there")
        planes.kubectl(one, "create", "configmap", "meanwhile", "--from-literal=without=one")
        until(lambda: planes.nodes(other)[lost] is False, "the cluster missed the host")
    sys.stderr.write(f"the API was silent for {silence.seconds:.1f} s at most, and answered {silence.answers} times\n")
    assert silence.answers
    assert silence.seconds < MOST_SILENCE_S
    status = desk.status()
    assert not status["ok"]
    assert {host["name"] for host in status["hosts"] if host["ready"]} == {one, other}, status


def test_the_host_comes_back_as_a_member_and_takes_no_address_from_one_that_serves(
    planes: ControlPlanes, desk: HighDesk
) -> None:
    (lost,) = [name for name in MEMBERS if not _is_on(planes, name)]
    holders, one = planes.holders(), planes.others(lost)[0]
    with planes.asked() as silence:
        desk.lab.start(lost)
        until(lambda: len(planes.healthy(one)) == len(MEMBERS), "three members were healthy")
        until(lambda: planes.nodes(one) == dict.fromkeys(MEMBERS, True), "all three hosts were ready")
    assert planes.holders() == holders
    assert planes.kubectl(lost, "get", "configmap", "meanwhile", "--output=jsonpath={.data.without}") == "one"
    sys.stderr.write(f"the API was silent for {silence.seconds:.1f} s at most while the host came back\n")
    assert silence.seconds < MOST_SILENCE_S
    assert desk.install()["changed"] == dict.fromkeys(MEMBERS, 0)
    until(lambda: desk.status()["ok"], "the status had nothing to say")


def _answers(planes: ControlPlanes, name: str) -> bool:
    argv = ["kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "--request-timeout=3s", "get", "--raw", "/readyz"]
    return planes.lab.host(name).run(argv, check=False).returncode == 0


def _is_on(planes: ControlPlanes, name: str) -> bool:
    process = planes.lab.state().seat(name).process
    return process is not None and process.alive
