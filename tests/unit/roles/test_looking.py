"""What a host says about itself: nothing that is secret, pods with the reason why they wait, workloads by counts."""

from __future__ import annotations

import base64
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.cluster.readings import certificate
from tests.unit.roles.plugins import load

if TYPE_CHECKING:
    from pathlib import Path

look = load("roles/looking/files/look.py")
KEY = "-----BEGIN PRIVATE KEY-----\nthe-key\n-----END PRIVATE KEY-----\n"


def pod(phase: str = "Running", *, ready: bool = False, owner: bool = True, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "s", "name": "audit-0", "ownerReferences": [{"name": "audit"}] if owner else []},
        "spec": {"nodeName": "node2"},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}], **status},
    }


def waiting(reason: str) -> dict[str, Any]:
    return {"name": "writer", "restartCount": 3, "state": {"waiting": {"reason": reason}}}


def test_certificates_are_told_without_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = certificate(100)
    pki, etc, kubelet = tmp_path / "pki", tmp_path, tmp_path / "kubelet.pem"
    (pki / "etcd").mkdir(parents=True)
    (pki / "apiserver.crt").write_text(pem)
    (pki / "etcd/server.crt").write_text(pem)
    (pki / "apiserver.key").write_text(KEY)
    shown, hidden = (base64.b64encode(text.encode()).decode() for text in (pem, KEY))
    (etc / "admin.conf").write_text(f"    client-certificate-data: {shown}\n    client-key-data: {hidden}\n")
    kubelet.write_text(KEY + pem)
    monkeypatch.setattr(look, "PKI", pki)
    monkeypatch.setattr(look, "CONFIGURATIONS", etc)
    monkeypatch.setattr(look, "KUBELET", kubelet)
    found = look.certificates()
    assert set(found) == {"apiserver", "etcd/server", "admin.conf", "kubelet"}
    assert all(told.startswith("-----BEGIN CERTIFICATE-----") and "PRIVATE KEY" not in told for told in found.values())


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (pod(containerStatuses=[waiting("CrashLoopBackOff")]), "writer: CrashLoopBackOff"),
        (pod(initContainerStatuses=[waiting("ErrImageNeverPull")]), "writer: ErrImageNeverPull"),
        (pod("Failed", owner=False), "Failed"),
        (
            pod("Pending")
            | {
                "status": {
                    "phase": "Pending",
                    "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}],
                }
            },
            "0/2 nodes are available",
        ),
    ],
    ids=["container", "init container", "nobody's", "no room"],
)
def test_a_pod_that_waits_says_why(given: dict[str, Any], reason: str) -> None:
    told = look.pod(given)
    assert (told["ready"], told["reason"]) == (False, reason)


def test_what_a_pod_s_containers_run_is_told_by_digest_whatever_it_is_called() -> None:
    first, other, bare = (f"sha256:{letter * 64}" for letter in "abc")
    ran = {
        "initContainerStatuses": [{"name": "link", "restartCount": 0, "state": {}, "imageID": f"r.internal/a@{first}"}],
        "containerStatuses": [
            {"name": "writer", "restartCount": 0, "state": {}, "imageID": f"other.example/a@{first}"},
            {"name": "collector", "restartCount": 0, "state": {}, "imageID": ""},
        ],
        "ephemeralContainerStatuses": [
            {"name": "look", "restartCount": 0, "state": {}, "imageID": other},
            {"name": "more", "restartCount": 0, "state": {}, "imageID": bare},
        ],
    }
    assert look.pod(pod(**ran))["images"] == [first, other, bare]


@pytest.mark.parametrize(
    "given", [pod(ready=True), pod("Succeeded"), pod("Failed")], ids=["ready", "ended", "replaced"]
)
def test_a_pod_that_is_ready_or_was_replaced_does_not_wait(given: dict[str, Any]) -> None:
    assert look.pod(given)["ready"]


@pytest.mark.parametrize(
    ("kind", "spec", "status", "counts"),
    [
        ("Deployment", {"replicas": 2}, {"readyReplicas": 1}, (2, 1)),
        ("StatefulSet", {"replicas": 1}, {}, (1, 0)),
        ("DaemonSet", {}, {"desiredNumberScheduled": 3, "numberReady": 2}, (3, 2)),
    ],
)
def test_workloads_are_counted_as_each_kind_counts(
    kind: str, spec: dict[str, int], status: dict[str, int], counts: tuple[int, int]
) -> None:
    told = look.workload({"kind": kind, "metadata": {"namespace": "s", "name": "x"}, "spec": spec, "status": status})
    assert (told["wanted"], told["ready"]) == counts


def container_log(folder: Path, text: str) -> Path:
    path = folder / "s_audit-0_uid/writer/0.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_lines_that_the_runtime_split_are_one_again(tmp_path: Path) -> None:
    lines = ['1 stderr P {"prompt": "a', "2 stdout F between", "3 stderr P b", '4 stderr F c"}', "5 stderr P open"]
    told = look.end_of(container_log(tmp_path, "\n".join(lines) + "\n"))
    assert told.splitlines() == ["2 stdout F between", '1 stderr F {"prompt": "abc"}', "5 stderr P open"]


@pytest.mark.parametrize("mark", ["P", "F"])
def test_what_a_cut_may_have_halved_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str) -> None:
    lines = ['1 stderr P {"prompt": "the', f"2 stderr {mark} CANARY", '3 stderr F more"}', "4 stderr F whole"]
    text = "\n".join(lines) + "\n"
    for beyond in range(1, len(lines[0]) + 3):
        monkeypatch.setattr(look, "LOG_CHARACTERS", len(text) - beyond)
        told = look.end_of(container_log(tmp_path, text))
        assert "CANARY" not in told
        assert told.endswith("4 stderr F whole\n")


def test_a_log_that_goes_on_from_another_file_may_begin_with_a_half(tmp_path: Path) -> None:
    path = container_log(tmp_path, '1 stderr F CANARY"}\n2 stderr F whole\n')
    assert "CANARY" in look.end_of(path)
    path.with_name("0.log.20261126-093014").touch()
    assert look.end_of(path) == "2 stderr F whole\n"


@pytest.mark.parametrize("gone", ["a", "z"])
def test_of_two_pods_of_one_name_the_one_that_is_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    monkeypatch.setattr(look, "PODS", tmp_path)
    monkeypatch.setattr(look, "units", lambda: ())
    for moment, uid in enumerate((gone, "m"), start=1):
        path = tmp_path / f"s_audit-0_{uid}" / "writer" / "0.log"
        path.parent.mkdir(parents=True)
        path.write_text(f"1 stderr F of {uid}\n")
        os.utime(path, ns=(moment, moment))
    (tmp_path / "s_edge-0_b" / "edge").mkdir(parents=True)
    (tmp_path / "s_edge-0_b" / "edge" / "0.log").symlink_to("taken-away-meanwhile")
    assert look.logs() == {"s_audit-0/writer.0": "1 stderr F of m\n"}


def test_a_program_that_does_not_end_has_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(argv: tuple[str, ...], **_: object) -> None:
        raise subprocess.TimeoutExpired(argv, 60)

    monkeypatch.setattr(look.subprocess, "run", slow)
    assert look.ran("sh", "-c", "true") is None
