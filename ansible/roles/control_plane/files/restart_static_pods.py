"""Ends the control plane's containers on this host, so that the kubelet starts them with what lies on the disk now.

Runs on a host, from stdin; returns once each of them has ended. Arguments name some of them, none means all.
"""

import subprocess
import sys
import time

CTR = ("ctr", "--namespace", "k8s.io")
NAMES = ("kube-controller-manager", "kube-scheduler", "kube-apiserver", "etcd")
PATIENCE_SECONDS = 120


def told(*arguments: str) -> list[str]:
    """Lines that `ctr` prints."""
    return subprocess.run([*CTR, *arguments], check=True, capture_output=True, text=True).stdout.splitlines()


def running(name: str) -> set[str]:
    """Ids of the containers of this name that run."""
    chosen = told("containers", "list", "--quiet", f'labels."io.kubernetes.container.name"=={name}')
    tasks = {line.split()[0] for line in told("tasks", "list")[1:] if "RUNNING" in line}
    return tasks & set(chosen)


def end(container: str) -> None:
    """Ask a container to end; one that has ended by itself is no failure."""
    done = subprocess.run(
        [*CTR, "tasks", "kill", "--signal", "SIGTERM", container], check=False, capture_output=True, text=True
    )
    if done.returncode != 0 and "not found" not in done.stderr and "already finished" not in done.stderr:
        sys.exit(f"{container} could not be ended: {done.stderr.strip()}")


for wanted in sys.argv[1:] or NAMES:
    old = running(wanted)
    for container in old:
        end(container)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while old & running(wanted):
        if time.monotonic() > deadline:
            sys.exit(f"{wanted} did not end within {PATIENCE_SECONDS} s")
        time.sleep(0.5)
