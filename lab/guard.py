"""Keeps a lab host from changing what belongs to the whole machine.

A container shares the machine's kernel settings beyond the network's. The kubelet and Cilium's agent write some of
them, and one, ``kernel.unprivileged_bpf_disabled``, cannot be written back. So a unit before anything else gives the
host private copies of those, and makes the rest read-only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from lab.machine import Running

READ_ONLY = ("kernel", "vm", "fs")
PRIVATE = (
    "kernel/keys/root_maxbytes",  # the kubelet's (pkg/kubelet/cm: setupKernelTunables)
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/timer_migration",  # Cilium's agent's
    "kernel/unprivileged_bpf_disabled",
)
# Files of Debian that would write the machine's settings at boot.
MASKED = ("50-pid-max.conf", "99-protect-links.conf")
UNIT = "lab-guard.service"
_SCRIPT = f"""\
#!/bin/sh
set -eu
for folder in {" ".join(READ_ONLY)}; do
  mount --rbind "/proc/sys/$folder" "/proc/sys/$folder"
  mount -o remount,bind,ro "/proc/sys/$folder"
done
for name in {" ".join(PRIVATE)}; do
  copy="/run/lab-guard/$name"
  mkdir -p "${{copy%/*}}"
  cat "/proc/sys/$name" > "$copy"
  mount --bind "$copy" "/proc/sys/$name"
done
mkdir -p /sys/fs/bpf
mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
"""
_UNIT = """\
[Unit]
DefaultDependencies=no
After=cgroups-rw.service
Before=sysinit.target systemd-sysctl.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/lib/lab/guard
[Install]
RequiredBy=sysinit.target
"""


def install(root: Path) -> None:
    """Put the guard into a host's tree."""
    script = root / "usr/local/lib/lab/guard"
    script.parent.mkdir(parents=True)
    script.write_text(_SCRIPT)
    script.chmod(0o755)
    units = root / "etc/systemd/system"
    (units / UNIT).write_text(_UNIT)
    required = units / "sysinit.target.requires"
    required.mkdir(exist_ok=True)
    (required / UNIT).symlink_to(f"../{UNIT}")
    for timer in (
        units / "timers.target.wants"
    ).iterdir():  # upkeep: one trims the machine's disks, others ask the world
        timer.unlink()
    for name in MASKED:
        (root / "etc/sysctl.d" / name).symlink_to("/dev/null")


def check(host: Running) -> None:
    """Raise ``AssertionError`` unless every private setting of a booted host is a file of its own."""
    for name in PRIVATE:
        kinds = host.run(["findmnt", "-n", "-o", "FSTYPE", f"/proc/sys/{name}"], check=False).stdout.split()
        assert set(kinds) == {"tmpfs"}, f"{host.machine.name}: {name} is the machine's own"
