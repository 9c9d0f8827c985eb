"""Reads what the appliance must know of a host before it changes anything, and prints it as one JSON object.

Runs on the host, from stdin, with the distribution's own Python (3.9 or newer) and nothing else. Arguments: the
administrator's time in seconds since 1970, the service network, the programs to look for, separated by commas, the
address that the control plane is to share, or `-`, and `log` where the audit log is to lie beside etcd, else `-`.
"""

from __future__ import annotations

import ipaddress
import json
import math
import os
import re
import shutil
import socket
import ssl
import struct
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
AUTHORITIES = ("/etc/sovereign/api-ca.crt", "/etc/kubernetes/pki/ca.crt")
API_PORT = 6443
ARP, ETHERNET = 0x0806, "1"
LOG, ETCD = Path("/var/lib/sovereign/volumes/audit"), Path("/var/lib/etcd")
SYNCS, SYNCED_BYTES, SYNC_SECONDS = 100, 4096, 2.0
LISTENED_SECONDS, ASKED_AT = 1.0, (0.0, 0.3, 0.6)
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


def existing(path: Path) -> Path:
    """``path``, or the nearest folder above it that is there."""
    return next(place for place in (path, *path.parents) if place.exists())


def fsync_p99_ms(folder: Path) -> float | None:
    """As the preflight of a single host measures it, by a file without a name; None where that cannot be tried."""
    found: list[float] = []
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            end = time.monotonic() + SYNC_SECONDS
            while len(found) < SYNCS and (begun := time.monotonic()) < end:
                file.write(os.urandom(SYNCED_BYTES))
                os.fsync(descriptor)
                found.append((time.monotonic() - begun) * 1000)
    except OSError:
        return None
    return sorted(found)[math.ceil(0.99 * len(found)) - 1]


def disks() -> dict[str, object]:
    """Whether the audit log and etcd are, or will be, on one file system, and how long a sync takes the log's."""
    log, etcd = existing(LOG), existing(ETCD)
    return {"one": log.stat().st_dev == etcd.stat().st_dev, "fsync_ms": fsync_p99_ms(log)}


def taken(port: int) -> bool:
    """Whether something listens on ``port``."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return True
    return False


def links() -> dict[str, list[str]]:
    """The host's IPv4 networks by interface, as `address/prefix`; those of pods are left out."""
    shown = subprocess.run(["ip", "-j", "-4", "address"], capture_output=True, check=False).stdout
    found: dict[str, list[str]] = {}
    for link in json.loads(shown or b"[]"):
        if link.get("ifname", "").startswith(("cilium", "lxc")) or link.get("ifname") in {None, "lo"}:
            continue
        found[link["ifname"]] = [f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"]]
    return found


def hardware() -> list[str]:
    """Hardware addresses of the host's own; Linux answers by any of them for whatever address it has."""
    ours = [about for about in Path("/sys/class/net").iterdir() if not about.name.startswith(("cilium", "lxc"))]
    told = {text(f"{about}/address").strip() for about in ours if text(f"{about}/type").strip() == ETHERNET}
    return sorted(told)


def answers(address: str, found: dict[str, list[str]]) -> list[str]:
    """Hardware addresses that answer for ``address`` on the host's own networks; its own are none of them.

    Asked is as RFC 5227 has it: the question bears no address of the asker, so that nobody's table changes by it.
    Empty as well where this may not be asked.
    """
    sought, heard = ipaddress.ip_address(address), set()
    for link, networks in found.items():
        about = Path("/sys/class/net", link)
        on_it = any(sought in ipaddress.ip_interface(given).network for given in networks)
        if on_it and text(f"{about}/type").strip() == ETHERNET:
            heard |= _heard(link, bytes.fromhex(text(f"{about}/address").strip().replace(":", "")), sought.packed)
    return sorted(heard)


def _heard(link: str, own: bytes, sought: bytes) -> set[str]:
    """Who says on ``link`` within a second that the address is theirs."""
    question = b"\xff" * 6 + own + struct.pack("!H", ARP)
    question += struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + own + bytes(4) + bytes(6) + sought
    heard, begun, asked = set(), time.monotonic(), 0
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ARP)) as asking:
            asking.bind((link, ARP))
            while (passed := time.monotonic() - begun) < LISTENED_SECONDS:
                if asked < len(ASKED_AT) and passed >= ASKED_AT[asked]:
                    asking.send(question)
                    asked += 1
                until = ASKED_AT[asked] if asked < len(ASKED_AT) else LISTENED_SECONDS
                asking.settimeout(max(until - passed, 0.01))
                try:
                    frame = asking.recv(128)
                except socket.timeout:  # noqa: UP041 - before Python 3.10 it is no TimeoutError
                    continue
                if frame[28:32] == sought and frame[22:28] != own:  # an answer, or a holder that names itself
                    heard.add(frame[22:28].hex(":"))
    except OSError:  # it may not be asked, or the link went down: what was heard counts
        pass
    return heard


def is_our_api(address: str) -> bool:
    """Whether an API server of the cluster that this host is in answers there, by the cluster's own authority."""
    authority = next((path for path in AUTHORITIES if Path(path).exists()), None)
    if authority is None:
        return False
    try:
        context = ssl.create_default_context(cafile=authority)
        with socket.create_connection((address, API_PORT), 3) as plain:
            context.wrap_socket(plain, server_hostname=address).close()
    except (OSError, ValueError):
        return False
    return True


def shares(address: str, found: dict[str, list[str]]) -> dict[str, object]:
    """What the control plane's address depends on: interfaces, keepalived and whose it is, the cluster's endpoint.

    Of ``address`` (`-`: none is shared) also whether the host has it, who else answers for it, and whether that is the
    cluster's own API.
    """
    told = text(str(KEEPALIVED))
    server = re.search(r"server: https://(\S+)", text(ADMIN)) if MEMBER.exists() else None
    others = answers(address, found) if address != "-" else []
    return {
        "holds": any(given.partition("/")[0] == address for networks in found.values() for given in networks),
        "answers": others,
        "our_api": bool(others) and is_our_api(address),
        "hardware": hardware(),
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


def read(now: float, services: str, commands: list[str], shared: str, beside: str) -> dict[str, object]:
    """Everything, by name."""
    skew, found = time.time() - now, links()
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
        "networks": [given for networks in found.values() for given in networks],
        "shares": shares(shared, found),
        "seat": seat(),
        "state": all(place.exists() for place in STATE),
        "service_route": has_route(services),
        "cluster_traces": [trace for trace in TRACES if Path(trace).exists()],
        "kubernetes": kubernetes(),
        "blobs": blobs(),
        "images": images(),
        "site": text("/etc/sovereign/site.json"),
        "taken_ports": [port for port in PORTS if taken(port)],
        "disks": disks() if beside == "log" else None,
    }


if __name__ == "__main__":
    print(json.dumps(read(float(sys.argv[1]), sys.argv[2], sys.argv[3].split(","), *sys.argv[4:])))  # noqa: T201 - its one output
