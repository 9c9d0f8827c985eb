"""What the assistant's namespace keeps out: resources that are not of the release or too free, and whoever knocks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.admission import Case, cases, verdict
from tests.e2e.two_hosts.kubernetes import Kubernetes, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.two_hosts.administrator import Desk

pytestmark = pytest.mark.cluster
NAMED = "app.kubernetes.io/name"
DOOR, COLLECTOR = ("edge", 8443), 9202
# Which pod speaks to which port of which other; the assistant to the writer's as well, of which there is one a role.
NEEDED: dict[str, set[tuple[str, int]]] = {
    "assistant": {("postgresql", 9203), DOOR},
    "audit": set(),
    "edge": {("assistant", 9207), ("keycloak", 9205)},
    "keycloak": {("postgresql", 9204), DOOR},
    "postgresql": set(),
}
# Tries every address and port at once, for three seconds; prints those that answered.
TRY_ALL = """
import json, selectors, socket, sys, time
waiting, through, until = selectors.DefaultSelector(), [], time.monotonic() + 3
for end in json.loads(sys.argv[1]):
    probe = socket.socket()
    probe.setblocking(False)
    probe.connect_ex(tuple(end))
    waiting.register(probe, selectors.EVENT_WRITE, end)
while waiting.get_map() and (left := until - time.monotonic()) > 0:
    for key, _ in waiting.select(left):
        if not key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            through.append(key.data)
        waiting.unregister(key.fileobj)
print(json.dumps(through))
"""


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


def test_each_pod_reaches_what_its_work_needs_and_no_other_open_port(
    cluster: Kubernetes, onlooker: dict[str, Any]
) -> None:
    """Past the services, at the pods' own addresses, at every port on which something in them listens."""
    pods = {pod["metadata"]["labels"][NAMED]: pod for pod in ours(cluster)}
    ports = {name: listening(cluster, pod) for name, pod in pods.items()}
    assert set(ports) == set(NEEDED)
    assert all(ports.values()), ports
    names = {pod["status"]["podIP"]: name for name, pod in pods.items()}
    ends = [(pod["status"]["podIP"], port) for name, pod in pods.items() for port in sorted(ports[name])]
    found: dict[str, set[tuple[str, int]]] = {}
    for name, pod in {**pods, "onlooker": onlooker}.items():
        asked = [end for end in ends if names[end[0]] != name]
        said = cluster.host_of(pod).run([*cluster.inside(pod), "python3", "-", json.dumps(asked)], stdin=TRY_ALL).stdout
        found[name] = {(names[host], port) for host, port in json.loads(said)}
    writers = {("audit", port) for port in ports["audit"] - {COLLECTOR}}
    assert len(writers) > 1  # the gateway's, and one of each engine
    needed = {**NEEDED, "assistant": {*NEEDED["assistant"], *writers}, "onlooker": {DOOR}}
    assert found == needed


def listening(cluster: Kubernetes, pod: dict[str, Any]) -> set[int]:
    """Ports of a pod beyond its loopback."""
    shown = cluster.host_of(pod).run([*cluster.inside(pod), "ss", "-Hltn"]).stdout
    ends = [line.split()[3].rpartition(":") for line in shown.splitlines()]
    return {int(port) for address, _, port in ends if not address.startswith(("127.", "[::1]", "[::ffff:127."))}
