"""A power cut between kubeadm's two moves leaves a control plane whose manifests are put back, and no other's."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.unit.roles.plugins import ANSIBLE

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = ANSIBLE / "roles/kubernetes/files/missing_manifests.py"
PARTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


def host(folder: Path) -> Path:
    (folder / "manifests").mkdir()
    for part in PARTS:
        (folder / f"manifests/{part}.yaml").write_text(f"now {part}")
    return folder


def back_up(folder: Path, name: str, seconds: int, **manifests: str) -> None:
    kept = folder / f"tmp/kubeadm-backup-manifests-{name}"
    kept.mkdir(parents=True)
    for part, text in manifests.items():
        (kept / f"{part.replace('_', '-')}.yaml").write_text(text)
    os.utime(kept, (seconds, seconds))


def put_back(folder: Path) -> list[str]:
    done = subprocess.run([sys.executable, PROGRAM, folder], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_newest_backup_of_what_is_missing_is_put_back(tmp_path: Path) -> None:
    back_up(host(tmp_path), "2026-11-27-00-00", 100, kube_apiserver="older", etcd="older")
    back_up(tmp_path, "2026-11-27-01-00", 200, kube_apiserver="old")
    (tmp_path / "manifests/kube-apiserver.yaml").unlink()
    assert put_back(tmp_path) == ["kube-apiserver"]
    assert (tmp_path / "manifests/kube-apiserver.yaml").read_text() == "old"
    assert (tmp_path / "manifests/etcd.yaml").read_text() == "now etcd"
    assert put_back(tmp_path) == []
    assert {path.name for path in (tmp_path / "manifests").iterdir()} == {f"{part}.yaml" for part in PARTS}


def test_a_host_without_a_backup_is_left_as_it_is(tmp_path: Path) -> None:
    (host(tmp_path) / "manifests/etcd.yaml").unlink()
    assert put_back(tmp_path) == []
