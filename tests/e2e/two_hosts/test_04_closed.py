"""What the assistant's namespace keeps out: resources that are not of the release or too free, and whoever knocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.admission import Case, cases, verdict
from tests.e2e.two_hosts.hosts import attempt
from tests.e2e.two_hosts.kubernetes import Kubernetes, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.two_hosts.administrator import Desk

pytestmark = pytest.mark.cluster
NAMED = "app.kubernetes.io/name"
DOOR = ("edge", 8443)


@pytest.fixture(scope="module")
def cluster(desk: Desk) -> Kubernetes:
    found = Kubernetes(desk.lab)
    until(found.ready, "everything was ready")
    return found


@pytest.fixture(scope="module")
def image(cluster: Kubernetes) -> str:
    """One of the release, by its digest."""
    (edge,) = [pod for pod in ours(cluster) if pod["metadata"]["labels"][NAMED] == "edge"]
    return str(edge["spec"]["containers"][0]["image"])


def ours(cluster: Kubernetes) -> list[dict[str, Any]]:
    """The assistant's pods that run."""
    found = [pod for pod in cluster.pods() if pod["metadata"]["namespace"] == "sovereign"]
    return [pod for pod in found if pod["status"]["phase"] == "Running"]


def judged(cluster: Kubernetes, case: Case, image: str) -> str:
    """What the cluster's API says of a resource, which it does not keep."""
    asked = ("create", "--dry-run=server", "--filename=-")
    return verdict(lambda resource: cluster.kubectl(*asked, stdin=resource), case, image)


def test_the_cluster_admits_what_is_good_and_refuses_each_bad_resource_with_its_reason(
    cluster: Kubernetes, image: str
) -> None:
    good, bad = cases("good"), cases("bad")
    assert {case.name: judged(cluster, case, image) for case in good} == dict.fromkeys([c.name for c in good], "")
    wrong = {}
    for case in bad:
        said = judged(cluster, case, image)
        if not ("forbidden" in said and str(case.refused) in said):
            wrong[case.name] = said or "admitted"
    assert len(bad) > len(good) > 0
    assert not wrong


@pytest.mark.parametrize("namespace", ["default", "kube-node-lease", "kube-public"])
def test_beside_the_assistant_s_no_namespace_takes_a_pod_that_reaches_its_host(
    namespace: str, cluster: Kubernetes, image: str
) -> None:
    (bad,) = [case for case in cases("bad") if case.name == "host-path"]
    metadata = {**bad.resource["metadata"], "namespace": namespace}
    said = judged(cluster, Case(bad.name, {**bad.resource, "metadata": metadata}, bad.refused), image)
    assert "forbidden" in said
    assert str(bad.refused) in said


@pytest.fixture(scope="module")
def onlooker(cluster: Kubernetes) -> Iterator[dict[str, Any]]:
    """A pod of another namespace, on the host where the state is."""
    yield cluster.run_pod("onlooker", "node2", "sovereign.internal/pause:v1.0.0")
    cluster.kubectl("delete", "pod", "onlooker")


def test_a_pod_of_another_namespace_reaches_no_open_port_of_a_pod_but_the_door(
    cluster: Kubernetes, onlooker: dict[str, Any]
) -> None:
    """Past the services, at the pods' own addresses, at every port on which something in them listens."""
    tried, reached = set[tuple[str, int]](), set[tuple[str, int]]()
    host, enter = cluster.host_of(onlooker), cluster.inside(onlooker)
    for pod in ours(cluster):
        name = pod["metadata"]["labels"][NAMED]
        for port in listening(cluster, pod):
            tried.add((name, port))
            if attempt(host, "tcp", pod["status"]["podIP"], port, enter) == "through":
                reached.add((name, port))
    assert {name for name, _ in tried} >= {"assistant", "audit", "edge", "keycloak", "postgresql"}
    assert reached == {DOOR}


def listening(cluster: Kubernetes, pod: dict[str, Any]) -> set[int]:
    """Ports of a pod beyond its loopback."""
    shown = cluster.host_of(pod).run([*cluster.inside(pod), "ss", "-Hltn"]).stdout
    ends = [line.split()[3].rpartition(":") for line in shown.splitlines()]
    return {int(port) for address, _, port in ends if not address.startswith(("127.", "[::1]", "[::ffff:127."))}
