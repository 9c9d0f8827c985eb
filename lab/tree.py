"""The file tree of a Debian host, made once from Debian's packages and cached by what it is made of."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

SUITE = "bookworm"
BARE_PACKAGES = (
    "dbus",
    "iproute2",
    "kmod",
    "libstdc++6",
    "mount",
    "openssl",
    "procps",
    "python3",
    "systemd",
    "systemd-sysv",
    "util-linux",
)
# What a host of a cluster has before the appliance comes: an ordinary server with ssh, and what Kubernetes calls.
NODE_PACKAGES = (
    "conntrack",
    "dbus",
    "ethtool",
    "iproute2",
    "iptables",
    "keepalived",
    "kmod",
    "mount",
    "nftables",
    "openssh-server",
    "procps",
    "python3",
    "socat",
    "systemd",
    "systemd-sysv",
    "util-linux",
)
# The host's cgroup v1 mounts arrive read-only; systemd inside needs them writable before sysinit.
_CGROUPS_UNIT = """\
[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'for c in /sys/fs/cgroup /sys/fs/cgroup/*; do mount -o remount,bind,rw $c; done; \
mount --make-rshared /; true'
[Install]
WantedBy=sysinit.target
"""


def cache_root() -> Path:
    """Folder of the lab's cached trees: below ``$SOVEREIGN_CACHE``, or the user's cache."""
    base = os.environ.get("SOVEREIGN_CACHE") or Path.home() / ".cache" / "sovereign"
    return Path(base) / "lab"


def base_archive(packages: tuple[str, ...] = BARE_PACKAGES) -> Path:
    """Tar of a host with ``packages``; made by mmdebstrap on first use (about a minute)."""
    key = hashlib.sha256("\n".join((SUITE, *packages, _CGROUPS_UNIT)).encode()).hexdigest()[:16]
    archive = cache_root() / f"host-{key}.tar"
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        partial = archive.with_suffix(f".{os.getpid()}.partial.tar")
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}", SUITE, str(partial)],
            check=True,
        )
        partial.rename(archive)
    return archive


def unpack(archive: Path, destination: Path, *, hostname: str) -> None:
    """Unpack a tree for one host and make it bootable in a container."""
    destination.mkdir(parents=True)
    subprocess.run(["tar", "-C", str(destination), "-xf", str(archive)], check=True)
    units = destination / "etc/systemd/system"
    (units / "cgroups-rw.service").write_text(_CGROUPS_UNIT)
    (units / "sysinit.target.wants").mkdir(exist_ok=True)
    (units / "sysinit.target.wants/cgroups-rw.service").symlink_to("../cgroups-rw.service")
    (destination / "etc/hostname").write_text(hostname + "\n")
    (destination / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {hostname}\n::1 localhost\n")
    (destination / "etc/machine-id").write_text("")


def remove(tree: Path) -> None:
    """Remove a host's tree."""
    shutil.rmtree(tree)
