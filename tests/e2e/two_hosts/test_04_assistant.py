"""The assistant on two hosts: from a signed bundle to an answer with a receipt through the edge's TLS, and its log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from demo.release import MODEL
from tests.e2e.two_hosts.administrator import ADDRESS, NAME, Desk
from tests.e2e.two_hosts.clusters import LabSite, empty_parts
from tests.e2e.two_hosts.hosts import NODES, attempt, contents
from tests.e2e.two_hosts.kubernetes import Kubernetes, until

pytestmark = pytest.mark.cluster
if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.lab import Lab

CHARTS = ("postgresql", "keycloak", "audit", "assistant")
PEOPLE = ("people", "analyst", "a-Passphrase-of-the-analyst-1", "analysts")
ASK = ("ask", "analyst", "a-Passphrase-of-the-analyst-1", "Which city is the capital of France?")


@pytest.fixture(scope="module")
def desk(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Both hosts after one command; afterwards they are as they were before it."""
    found = Desk(lab, tmp_path_factory.mktemp("desk"))
    found.prepare()
    before = contents(lab)
    assert set(found.install()["changed"]) == set(NODES)
    yield found
    identity = json.loads((found.site / "cluster/state.json").read_text())["identity"]
    site = LabSite(lab, found.folder, empty_parts(found.folder), identity)
    assert site.run("removal.yml") == dict.fromkeys(NODES, 1)
    assert contents(lab) == before


@pytest.fixture(scope="module")
def cluster(desk: Desk) -> Kubernetes:
    return Kubernetes(desk.lab)


def ours(cluster: Kubernetes) -> list[dict[str, Any]]:
    return [pod for pod in cluster.pods() if pod["metadata"]["namespace"] == "sovereign"]


def test_a_second_run_changes_nothing(desk: Desk) -> None:
    done = desk.install()
    assert done["changed"] == dict.fromkeys(NODES, 0)
    assert done["url"] == f"https://{NAME}"


def test_every_pod_is_ready_restricted_and_of_the_release(cluster: Kubernetes) -> None:
    until(lambda: all(_ready(pod) for pod in ours(cluster)), "every pod of the assistant was ready")
    names = {pod["metadata"]["labels"]["app.kubernetes.io/name"] for pod in ours(cluster)}
    assert names == {*CHARTS, "edge"}
    for pod in ours(cluster):
        for container in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", ())):
            assert "@sha256:" in container["image"]
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]


def _ready(pod: dict[str, Any]) -> bool:
    conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions", ())}
    return conditions.get("Ready") == "True"


@pytest.mark.parametrize("chart", CHARTS)
def test_each_chart_s_own_test_passes(chart: str, cluster: Kubernetes) -> None:
    told = ("KUBECONFIG=/etc/kubernetes/admin.conf", "KUBECACHEDIR=/run/kubectl", "HELM_CACHE_HOME=/run/helm")
    said = cluster.lab.host("node1").run(["env", *told, "helm", "test", chart, "--namespace=sovereign"]).stdout
    assert "Succeeded" in said


@pytest.mark.parametrize(
    "image",
    ["sovereign.internal/pause:v1.0.0", "sovereign.internal/assistant@sha256:" + 64 * "0"],
    ids=["named by tag", "not of the release"],
)
def test_an_image_that_the_release_does_not_name_is_refused(image: str, cluster: Kubernetes) -> None:
    before = {pod["metadata"]["name"] for pod in ours(cluster)}
    with pytest.raises(AssertionError, match="not of the verified release"):
        cluster.run_pod("foreign", "node2", image, namespace="sovereign")
    assert {pod["metadata"]["name"] for pod in ours(cluster)} == before


def test_a_pod_of_another_namespace_reaches_nothing_of_the_assistant(cluster: Kubernetes, desk: Desk) -> None:
    pod = cluster.run_pod("outsider", "node1", "sovereign.internal/pause:v1.0.0")
    host, enter = cluster.host_of(pod), cluster.inside(pod)
    reached = []
    for service in cluster.get("services", "--namespace=sovereign")["items"]:
        for port in service["spec"]["ports"]:
            end = (service["metadata"]["name"], port["port"])
            if attempt(host, "tcp", service["spec"]["clusterIP"], port["port"], enter) == "through":
                reached.append(end)
    assert reached == [("edge", 443)]  # the same door as everybody's
    assert desk.lab is cluster.lab


def test_a_person_signs_in_through_the_edge_asks_and_gets_a_receipt(desk: Desk) -> None:
    assert desk.visit(*PEOPLE) == ["analyst"]
    found = desk.visit(*ASK)
    assert found["text"].strip()
    assert found["receipt"]["model"]["name"] == MODEL
    assert found["receipt"]["log"]["answer_index"] > found["receipt"]["log"]["request_index"]


def test_the_edge_shows_the_site_s_own_certificate(desk: Desk) -> None:
    ca = str(desk.site / "tls/ca.pem")
    shown = ["openssl", "s_client", "-connect", f"{ADDRESS}:443", "-servername", NAME, "-verify_return_error"]
    said = desk.run([*shown, "-verify_hostname", NAME, "-CAfile", ca], input="")
    assert "Verify return code: 0 (ok)" in said
    with pytest.raises(AssertionError, match="verify error"):
        desk.run([*shown, "-CAfile", "/etc/ssl/certs/ca-certificates.crt"], input="")


def test_the_log_of_it_all_verifies_away_from_the_cluster(desk: Desk) -> None:
    copied = desk.folder / "log"
    host = desk.lab.host("node2")
    tar = host.inside(["tar", "-C", "/var/lib/sovereign/volumes/audit/log", "-cf", "-", "."])
    desk.run(["sh", "-c", f'mkdir {copied} && "$@" | tar -C {copied} -xf -', "sh", *tar])
    keys = ("--log", str(copied), "--vkeys", str(desk.site / "policies/audit-vkeys"))
    found = json.loads(desk.sovereign("audit", "verify", *keys, "--output", "json"))
    assert found["size"] >= 4  # the model's load, the sign-in, the request and its answer
