"""Puts back manifests of the control plane that an interrupted kubeadm took away and did not replace yet.

kubeadm moves the old one into a backup and then the new one into its place; a power cut may fall between the two. The
newest backup is taken. Prints what was put back, a name a line. Runs on hosts with their distribution's Python.
"""

import shutil
import sys
from pathlib import Path

KUBERNETES = Path(sys.argv[1] if len(sys.argv) > 1 else "/etc/kubernetes")
PARTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")

for part in PARTS:
    manifest = KUBERNETES / "manifests" / f"{part}.yaml"
    kept = sorted(
        KUBERNETES.glob(f"tmp/kubeadm-backup-manifests-*/{part}.yaml"), key=lambda path: path.parent.stat().st_mtime
    )
    if manifest.exists() or not kept:
        continue
    partial = KUBERNETES / f"{part}.partial"  # not among the manifests, which the kubelet watches
    shutil.copy2(kept[-1], partial)
    partial.rename(manifest)
    sys.stdout.write(f"{part}\n")
