"""Reads what the appliance must know of a host before it changes anything, and prints it as one JSON object.

Runs on the host, from stdin, with the distribution's own Python (3.9 or newer) and nothing else. Arguments: the
administrator's time in seconds since 1970, the service network, the programs to look for, separated by commas.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

FOLDERS = ("/var/lib/containerd", "/var/lib/kubelet", "/var/lib/etcd", "/var/lib/sovereign")
LAYOUT = "/var/lib/sovereign/images/blobs/sha256"
SEARCHED = {**os.environ, "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
PORTS = (6443, 10250, 10257, 10259, 2379, 2380)
KEEPALIVED = Path("/etc/keepalived/keepalived.conf")
ADMIN, MEMBER = "/etc/kubernetes/admin.conf", Path("/etc/sovereign/control-plane")
TRACES = ("/etc/kubernetes/kubelet.conf", "/etc/kubernetes/admin.conf", "/var/lib/etcd/member")
SERVER = Path("/etc/kubernetes/manifests/kube-apiserver.yaml")
STATE = tuple(Path("/var/lib/sovereign/volumes", place) for place in ("postgresql/pg", "audit/log"))


def text(path: str) -> str:
    """A file's text; empty when it cannot be read."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def free_bytes(folder: str) -> int:
    """Bytes free where ``folder`` is or will be."""
    path = Path(folder)
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def taken(port: int) -> bool:
    """Whether something listens on ``port``."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return True
    return False


def addresses() -> list[str]:
    """The host's IPv4 networks, as `address/prefix`."""
    shown = subprocess.run(["ip", "-j", "-4", "address"], capture_output=True, check=False).stdout
    networks = []
    for link in json.loads(shown or b"[]"):
        if link.get("ifname", "").startswith(("cilium", "lxc")) or link.get("ifname") == "lo":
            continue
        networks += [f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"]]
    return networks


def shares() -> dict[str, object]:
    """What the control plane's address depends on: interfaces, keepalived and whose it is, the cluster's endpoint."""
    told = text(str(KEEPALIVED))
    server = re.search(r"server: https://(\S+)", text(ADMIN)) if MEMBER.exists() else None
    return {
        "interfaces": sorted(link.name for link in Path("/sys/class/net").iterdir()),
        "keepalived": bool(shutil.which("keepalived", path="/usr/sbin:/usr/bin:/sbin:/bin")),
        "keepalived_of_others": bool(told) and "vrrp_instance control_plane {" not in told,
        "endpoint": server[1] if server else "",
    }


def seat() -> str:
    """What the host is in its cluster: `control-plane`, `worker`, or empty where it is in none, or on its way in."""
    if MEMBER.exists():
        return "control-plane"
    return "worker" if Path(TRACES[0]).exists() and not SERVER.exists() else ""


def has_route(network: str) -> bool:
    """Whether a packet to ``network`` has a way out of the host; without one a service's address cannot be reached."""
    first = str(next(ipaddress.ip_network(network).hosts()))
    done = subprocess.run(["ip", "route", "get", first], capture_output=True, check=False)
    return done.returncode == 0


def kubernetes() -> str:
    """Version of the cluster's programs on a host that is in one; empty elsewhere."""
    program = Path("/usr/local/bin/kubeadm")
    if not program.exists() or not Path(TRACES[0]).exists():
        return ""
    done = subprocess.run([program, "version", "--output=short"], capture_output=True, check=False, text=True)
    return done.stdout.strip()


def blobs() -> list[str]:
    """Names of what the host's own layout of images holds."""
    folder = Path(LAYOUT)
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def images() -> list[str]:
    """Digests of the images that containerd has imported; none where it does not answer."""
    asked = ["ctr", "--namespace", "k8s.io", "images", "list"]
    try:
        said = subprocess.run(asked, capture_output=True, check=False, text=True, timeout=20, env=SEARCHED).stdout
    except (OSError, subprocess.TimeoutExpired):
        return []
    return sorted({word for line in said.splitlines() for word in line.split() if word.startswith("sha256:")})


def read(now: float, services: str, commands: list[str]) -> dict[str, object]:
    """Everything, by name."""
    skew = time.time() - now
    memory = next((int(line.split()[1]) for line in text("/proc/meminfo").splitlines() if "MemTotal" in line), 0)
    return {
        "skew_seconds": skew,
        "uid": os.geteuid(),
        "python": list(sys.version_info[:2]),
        "hostname": socket.gethostname(),
        "machine_id": text("/etc/machine-id").strip(),
        "swap": [line.split()[0] for line in text("/proc/swaps").splitlines()[1:]],
        "free_bytes": {folder: free_bytes(folder) for folder in FOLDERS},
        "memory_mib": memory // 1024,
        "cores": len(os.sched_getaffinity(0)),
        "systemd": Path("/run/systemd/system").is_dir(),
        "cgroup_version": 2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1,
        "missing_commands": [c for c in commands if not shutil.which(c, path="/usr/sbin:/usr/bin:/sbin:/bin")],
        "overlayfs": "overlay" in text("/proc/filesystems") or shutil.which("modprobe") is not None,
        "networks": addresses(),
        "shares": shares(),
        "seat": seat(),
        "state": all(place.exists() for place in STATE),
        "service_route": has_route(services),
        "cluster_traces": [trace for trace in TRACES if Path(trace).exists()],
        "kubernetes": kubernetes(),
        "blobs": blobs(),
        "images": images(),
        "site": text("/etc/sovereign/site.json"),
        "taken_ports": [port for port in PORTS if taken(port)],
    }


if __name__ == "__main__":
    print(json.dumps(read(float(sys.argv[1]), sys.argv[2], sys.argv[3].split(","))))  # noqa: T201 - its one output
