"""The assistant on two hosts: from a signed bundle to an answer with a receipt through the edge's TLS, and its log."""

from __future__ import annotations

import json
from typing import Any

import pytest

from appliance.audit.checkpoint import read_vkeys
from appliance.audit.tiles import TileReader
from appliance.audit.verify import verify_log
from appliance.install.vault import Vault
from appliance.site.paths import SitePaths
from demo.release import MODEL
from tests.e2e.two_hosts.administrator import ADDRESS, NAME, Desk
from tests.e2e.two_hosts.hosts import BEYOND, NODES, attempt
from tests.e2e.two_hosts.kubernetes import Kubernetes, until
from tests.e2e.two_hosts.records import FILL, log_copy, observed

pytestmark = pytest.mark.cluster
CHARTS = ("postgresql", "keycloak", "audit", "assistant")
PEOPLE = ("people", "analyst", "a-Passphrase-of-the-analyst-1", "analysts")
ASK = ("ask", "analyst", "a-Passphrase-of-the-analyst-1", "Which city is the capital of France?")


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


@pytest.mark.parametrize("chart", [*CHARTS, "edge"])
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


@pytest.mark.parametrize("app", ["assistant", "edge", "keycloak", "postgresql"])
def test_no_pod_of_the_assistant_reaches_what_hosts_speak_to(app: str, cluster: Kubernetes) -> None:
    """At its service's address and at its pod's own, from the very network in which the assistant's parts call."""
    running = (one for one in ours(cluster) if one["status"]["phase"] == "Running")
    pod = next(one for one in running if one["metadata"]["labels"].get("app.kubernetes.io/name") == app)
    service = cluster.get("service", "collector", "--namespace=sovereign")["spec"]["clusterIP"]
    audit = next(one for one in ours(cluster) if one["metadata"]["name"] == "audit-0")["status"]["podIP"]
    host, enter = cluster.host_of(pod), cluster.inside(pod)
    assert [attempt(host, "tcp", to, 9202, enter) == "through" for to in (service, audit)] == [False, False]


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
    copied = log_copy(desk, "log")
    keys = ("--log", str(copied), "--vkeys", str(desk.site / "policies/audit-vkeys"))
    found = json.loads(desk.sovereign("audit", "verify", *keys, "--output", "json"))
    assert found["size"] >= 4  # the model's load, the sign-in, the request and its answer


def test_the_log_has_both_installations_begun_and_ended(desk: Desk) -> None:
    copied = log_copy(desk, "log-of-acts")
    report = verify_log(copied, vkeys=read_vkeys(desk.site / "policies/audit-vkeys"))
    size = report.head.size - report.journaled
    tiles = TileReader(copied, size)
    kept = [json.loads(tiles.entry(at)) for at in range(size)]
    told = [
        one["status_detail"].partition(";")[0] for one in kept if one["unmapped"]["sovereign"].get("step") == "install"
    ]
    assert told[:2] == ["begun", "went through"]
    assert told.count("begun") == told.count("went through") >= 2


def test_status_names_hosts_workloads_the_page_and_every_certificate(desk: Desk) -> None:
    found = json.loads(desk.sovereign("status", "--output", "json"))
    assert found["ok"], found["waiting"]
    assert found["url"] == f"https://{NAME}"
    assert {(host["name"], host["ready"]) for host in found["hosts"]} == {(name, True) for name in NODES}
    ours = {w["name"]: w for w in found["workloads"] if w["namespace"] == "sovereign"}
    assert set(ours) == {*CHARTS, "edge"}
    assert ours["audit"]["nodes"] == ["node2"]
    shown = {(c["where"], c["name"]) for c in found["certificates"]}
    assert {("node1", "apiserver"), ("node1", "admin.conf"), ("node2", "kubelet"), ("the site", "edge")} <= shown
    assert {name for where, name in shown if where == "the links"} >= {"authority", "audit", "database", "gateway"}
    assert min(c["days"] for c in found["certificates"]) > 300
    assert not [warning for warning in found["warnings"] if "not of the release" in warning]


def test_what_tried_to_leave_is_told_with_pod_destination_and_count(cluster: Kubernetes, desk: Desk) -> None:
    bound = next(pod for pod in ours(cluster) if pod["metadata"]["name"].startswith("assistant-"))
    free = next(pod for pod in cluster.pods() if pod["metadata"]["name"] == "outsider")
    for pod, port in ((bound, 8443), (free, 8444)):
        attempt(cluster.host_of(pod), "tcp", BEYOND, port, cluster.inside(pod))
    attempt(desk.lab.host("node2"), "tcp", BEYOND, 8445)
    found = json.loads(desk.sovereign("status", "--egress", "--output", "json"))
    told = {(each["source"], each["port"], each["by"]) for each in found["attempts"] if each["destination"] == BEYOND}
    assert (f"sovereign/{bound['metadata']['name']}", 8443, "policy") in told
    assert ("default/outsider", 8444, "firewall") in told
    assert ("node2", 8445, "firewall") in told
    assert all(each["count"] >= 1 and each["last_seen"] > "2026" for each in found["attempts"])
    assert found["refused"]["node2"]["refused_out"] >= 1


def test_the_log_has_what_tried_to_leave(cluster: Kubernetes, desk: Desk) -> None:
    """Of the test before: by the network's policy, and by the hosts' firewalls."""
    bound = next(pod for pod in ours(cluster) if pod["metadata"]["name"].startswith("assistant-"))
    wanted = {("policy", f"sovereign/{bound['metadata']['name']}", 8443), ("firewall", "10.77.0.12", 8445)}

    def told() -> set[tuple[str, str, int]]:
        found = [one for one in observed(desk).values() if one["unmapped"]["sovereign"]["kind"] == "network_refusal"]
        ends = ((one["src_endpoint"]["name"], one["dst_endpoint"]) for one in found)
        by = (one["unmapped"]["sovereign"]["by"] for one in found)
        return {(who, source, to.get("port", 0)) for who, (source, to) in zip(by, ends, strict=True)}

    until(lambda: wanted <= told(), "the log had both attempts")


def test_a_command_in_a_pod_is_in_the_log_with_who_gave_it_and_is_proven(cluster: Kubernetes, desk: Desk) -> None:
    asked = ("exec", "--namespace=sovereign", "audit-0", "--container=writer", "--", "/usr/bin/python3.11", "-c")
    assert cluster.kubectl(*asked, "print('a-word-of-' + 'a-command')") == "a-word-of-a-command\n"

    def entered() -> list[int]:
        return [
            at
            for at, one in observed(desk).items()
            if one.get("resources") == [{"type": "pods/exec", "namespace": "sovereign", "name": "audit-0"}]
        ]

    until(lambda: bool(entered()), "the log had the command")
    log, keys = desk.folder / "observed", ("--vkeys", str(desk.site / "policies/audit-vkeys"))
    at = entered()[-1]
    found = observed(desk)[at]
    assert found["actor"]["user"]["uid"] == "kubernetes-admin"
    assert found["unmapped"]["sovereign"]["host"] == "node1"
    assert "a-word-of" not in json.dumps(observed(desk))
    desk.sovereign("audit", "prove", str(at), "--log", str(log), *keys, "--out", str(desk.folder / "proof.json"))


def test_an_api_server_that_rotates_its_log_while_nobody_takes_it_loses_nothing(
    cluster: Kubernetes, desk: Desk
) -> None:
    """The log's writer is away while 50 MB and more of calls are noted, between two that are looked for."""
    node1 = desk.lab.host("node1")
    files = "ls /var/log/kubernetes/*.log | wc -l"
    before = int(node1.run(["sh", "-c", files]).stdout)
    cluster.kubectl("--namespace=sovereign", "scale", "statefulset/audit", "--replicas=0")
    cluster.kubectl("--namespace=sovereign", "wait", "--for=delete", "pod/audit-0", "--timeout=120s")
    cluster.kubectl("create", "configmap", "before-the-rotation")
    assert node1.run(["python3", "-", "90"], stdin=FILL).stdout.strip() == "200"
    cluster.kubectl("create", "configmap", "after-the-rotation")
    assert int(node1.run(["sh", "-c", files]).stdout) > before
    waits = ["cat", "/run/sovereign-observer/status.json"]
    until(lambda: json.loads(node1.run(waits).stdout)["behind"] > 50 << 20, "it was told how much waits")
    cluster.kubectl("--namespace=sovereign", "scale", "statefulset/audit", "--replicas=1")

    def calls(name: str) -> list[dict[str, Any]]:
        return [one for one in observed(desk).values() if one.get("resources", [{}])[0].get("name") == name]

    until(lambda: bool(calls("after-the-rotation")), "the log had what was asked after the rotation")
    assert len(calls("before-the-rotation")) == 1
    told = [one["unmapped"]["sovereign"] for one in observed(desk).values()]
    assert not [one for one in told if one["kind"] == "cluster_reading" and one["host"] == "node1" and one["gap"]]
    secrets = [{"type": "secrets", "namespace": "default", "name": "secrets"}]
    assert len([one for one in observed(desk).values() if one.get("resources") == secrets]) >= 90  # 700 kB each
    until(lambda: all(_ready(pod) for pod in ours(cluster)), "every pod of the assistant was ready")


def test_a_unit_that_is_off_is_told_by_the_exit_code(desk: Desk) -> None:
    desk.lab.host("node2").run(["systemctl", "stop", "sovereign-images.timer"])
    with pytest.raises(AssertionError, match="exited 5"):
        desk.sovereign("status")
    desk.lab.host("node2").run(["systemctl", "start", "sovereign-images.timer"])


def test_a_support_bundle_holds_no_secret_and_nothing_of_people(desk: Desk) -> None:
    planted = "a-Canary-of-the-journey-1"
    line = f"2026-11-26T00:00:00Z stderr F mark-of-a-canary password={planted} user=analyst"
    newest = "$(ls -t /var/log/pods/sovereign_audit-0_*/collector/0.log | head -n 1)"  # one that is gone may lie there
    desk.lab.host("node2").run(["sh", "-c", f'echo "{line}" >> {newest}'])
    out = desk.folder / "support.tar.gz"
    listed = json.loads(desk.sovereign("support-bundle", "--dry-run", "--output", "json"))
    assert not out.exists()
    desk.sovereign("support-bundle", "--out", str(out))
    desk.run(
        [
            "sh",
            "-c",
            'mkdir "$0" && tar -C "$0" -xzf "$1" && cd "$0" && sha256sum --check --quiet SHA256SUMS',
            str(desk.folder / "support"),
            str(out),
        ]
    )
    files = {str(path.relative_to(desk.folder / "support")): path for path in (desk.folder / "support").rglob("*.*")}
    assert {item["path"] for item in listed} <= {*files}
    assert any("sovereign_keycloak" in name for name in files)
    store = Vault(SitePaths(desk.site), lambda: b"").store()
    secrets = [store.get(name) for name in store.names()]
    lines = [line.decode() for secret in secrets for line in secret.splitlines() if _plain(line)]
    canaries = [planted, PEOPLE[2], ASK[3], *lines]
    assert any("mark-of-a-canary" in path.read_text() for path in files.values())
    for name, path in files.items():
        text = path.read_text()
        assert not [canary for canary in canaries if canary in text], name


def _plain(line: bytes) -> bool:
    return len(line) > 8 and line.isascii() and not line.startswith(b"-----")


def test_certificates_are_renewed_and_the_assistant_answers_with_them(cluster: Kubernetes, desk: Desk) -> None:
    def serial(path: str) -> str:
        return cluster.lab.host("node1").run(["sha256sum", path]).stdout.split()[0]

    names = ("/etc/kubernetes/pki/apiserver.crt", "/etc/kubernetes/admin.conf", "/etc/kubernetes/pki/ca.crt")
    before, edge = [serial(path) for path in names], (desk.site / "tls/edge.pem").read_bytes()
    listed = json.loads(desk.sovereign("certificates", "renew", "--dry-run", "--output", "json"))
    assert {(c["where"], c["name"]) for c in listed} >= {("node1", "apiserver"), ("the links", "audit")}
    assert [serial(path) for path in names] == before
    desk.sovereign("certificates", "renew", "--output", "json")
    after = [serial(path) for path in names]
    assert (after[0] != before[0], after[1] != before[1], after[2] == before[2]) == (True, True, True)
    assert (desk.site / "tls/edge.pem").read_bytes() != edge
    assert json.loads(desk.sovereign("status", "--output", "json"))["ok"]
    assert desk.visit(*ASK)["text"].strip()
    assert desk.install()["changed"] == dict.fromkeys(NODES, 0)
