"""A cluster of two hosts from the release alone: ready, made of nothing else, and no packet leaves it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from appliance.cluster.events import Ended
from appliance.errors import DeploymentError
from tests.e2e.two_hosts.clusters import LabSite
from tests.e2e.two_hosts.hosts import BEYOND, NODES, Beyond, assert_same, attempt, contents, tried
from tests.e2e.two_hosts.kubernetes import ASK, Kubernetes, until
from tests.e2e.two_hosts.shipment import shipped

pytestmark = pytest.mark.cluster
if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.lab import Lab

MOST_TRIPS = 75  # of two hosts together: none for each program, blob or chart
API = ("kubernetes.default.svc.cluster.local", "10.96.0.1")
NAMES = "10.96.0.10"


@pytest.fixture(scope="module")
def beyond(lab: Lab) -> Iterator[Beyond]:
    """What comes out on the other side of the bridge, where a host without the firewall is heard."""
    found = Beyond(lab)
    assert attempt(lab.host("node1"), "udp", BEYOND, 53) == "through"
    assert found.arrived == 1
    yield found
    found.end()


@pytest.fixture(scope="module")
def site(lab: Lab, beyond: Beyond, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabSite]:
    """Both hosts after an installation; afterwards they are as they were before it."""
    assert beyond.arrived == 1
    folder = tmp_path_factory.mktemp("cluster")
    found = LabSite(lab, folder, shipped(folder), "7d2f-cluster")
    before = contents(lab)
    try:
        cut_off_while_it_begins(found)
        assert min(found.run("cluster.yml").values()) > 0
        yield found
    finally:
        removed = found.run("removal.yml")
    assert removed == dict.fromkeys(NODES, 1)
    assert_same(contents(lab), before)
    assert found.run("removal.yml") == dict.fromkeys(NODES, 0)


def cut_off_while_it_begins(site: LabSite) -> None:
    """Install, and have the control plane's host lose its power while kubeadm begins: what follows goes on from there.

    The failure names the host; the host is in no cluster after its boot, and is not taken for one that is.
    """
    node1 = site.lab.host("node1")
    begun = ["sh", "-c", "test -e /etc/kubernetes/manifests/etcd.yaml -a ! -e /etc/sovereign/control-plane"]

    def cut() -> None:
        until(lambda: node1.run(begun, check=False).returncode == 0, "kubeadm had begun", seconds=900)
        site.lab.cut_power("node1")
        site.lab.start("node1")

    with ThreadPoolExecutor(1) as beside:
        done = beside.submit(cut)
        with pytest.raises(DeploymentError, match="node1: control_plane: "):
            site.run("cluster.yml")
        done.result()
    cut_off = site.lab.host("node1")
    assert cut_off.run(["test", "-e", "/etc/sovereign/control-plane"], check=False).returncode == 1


@pytest.fixture(scope="module")
def cluster(site: LabSite) -> Kubernetes:
    return Kubernetes(site.lab)


@pytest.fixture(scope="module")
def pods(cluster: Kubernetes, site: LabSite) -> dict[str, dict[str, Any]]:
    """A pod on each host."""
    return {name: cluster.run_pod(f"on-{name}", name, site.parts.sandbox_image) for name in NODES}


def test_both_hosts_are_ready_with_the_release_s_kubernetes(cluster: Kubernetes, site: LabSite) -> None:
    nodes = {node["metadata"]["name"]: node for node in cluster.get("nodes")["items"]}
    assert set(nodes) == set(NODES)
    for node in nodes.values():
        assert node["status"]["nodeInfo"]["kubeletVersion"] == site.parts.kubernetes_version
        assert {"Ready": "True"}.items() <= {c["type"]: c["status"] for c in node["status"]["conditions"]}.items()


def test_every_pod_runs_and_from_the_release_s_images_alone(cluster: Kubernetes, site: LabSite) -> None:
    until(cluster.ready, "every pod was ready")
    index = json.loads((site.parts.layout / "index.json").read_text())
    released = {listed["digest"] for listed in index["manifests"]}
    running = {
        (pod["metadata"]["name"], status["imageID"].rpartition("@")[2])
        for pod in cluster.pods()
        for status in pod["status"]["containerStatuses"]
    }
    assert {digest for _, digest in running} <= released
    names = {name.rsplit("-", 1)[0] for name, _ in running}
    assert {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "cilium"} <= names


def test_a_second_run_changes_nothing_and_asks_each_host_little(site: LabSite) -> None:
    assert site.run("cluster.yml") == dict.fromkeys(NODES, 0)
    ended = site.events[-1]
    assert isinstance(ended, Ended)
    assert ended.trips <= MOST_TRIPS


def test_pods_find_names_and_each_other_across_hosts(cluster: Kubernetes, pods: dict[str, dict[str, Any]]) -> None:
    dns = [pod for pod in cluster.pods() if pod["metadata"]["name"].startswith("coredns")]
    for pod in pods.values():
        host, enter = cluster.host_of(pod), cluster.inside(pod)
        assert host.run([*enter, "python3", "-", NAMES, API[0]], stdin=ASK).stdout.strip() == API[1]
        assert attempt(host, "tcp", API[1], 443, enter) == "through"
        for other in dns:
            assert attempt(host, "tcp", other["status"]["podIP"], 8080, enter) == "through"


def test_nothing_of_a_pod_or_a_host_leaves_and_what_tried_is_told(
    cluster: Kubernetes, beyond: Beyond, pods: dict[str, dict[str, Any]]
) -> None:
    for name in NODES:
        host = cluster.lab.host(name)
        assert attempt(host, "tcp", BEYOND, 8443) != "through"
        assert (BEYOND, "tcp", 8443) in tried(host)
        assert host.run(["getent", "ahostsv4", "example.org"], check=False).returncode != 0
        assert host.run(["getent", "ahostsv4", "node1"]).stdout.strip()
    for pod in pods.values():
        host, enter = cluster.host_of(pod), cluster.inside(pod)
        for kind, port in (("tcp", 443), ("udp", 53)):
            assert (BEYOND, kind, port) not in tried(host)
            said = attempt(host, kind, BEYOND, port, enter)
            assert kind == "udp" or said != "through"  # who sends a datagram hears nothing of its fate
            assert (BEYOND, kind, port) in tried(host)
        outside = host.run([*enter, "python3", "-", NAMES, "example.org"], stdin=ASK, check=False)
        assert not outside.stdout.strip().count("."), outside.stdout
    assert beyond.arrived == 1


def test_secrets_are_sealed_on_the_disk(cluster: Kubernetes, site: LabSite) -> None:
    secret, plain = "a-word-that-is-nowhere-else", "a-word-that-everybody-may-read"
    cluster.kubectl("create", "secret", "generic", "sealed", f"--from-literal=word={secret}")
    cluster.kubectl("create", "configmap", "open", f"--from-literal=word={plain}")

    def files_with(word: str) -> list[str]:
        return site.lab.host("node1").run(["grep", "-rl", word, "/var/lib/etcd"], check=False).stdout.splitlines()

    until(lambda: bool(files_with(plain)), "what is not sealed was on the disk")
    assert files_with(secret) == []
    assert cluster.get("secret", "sealed")["data"]["word"]


def test_after_a_power_cut_of_both_hosts_everything_is_back_by_itself(
    cluster: Kubernetes, site: LabSite, pods: dict[str, dict[str, Any]]
) -> None:
    assert pods
    for name in NODES:
        site.lab.cut_power(name)
    for name in NODES:
        site.lab.start(name)
    until(cluster.answers, "the API answered")
    until(cluster.ready, "every host and pod was ready again")
    assert site.run("cluster.yml") == dict.fromkeys(NODES, 0)
