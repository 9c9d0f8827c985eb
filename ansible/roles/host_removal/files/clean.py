"""Removes from a host what the roles made; runs there, from stdin."""

import shutil
import subprocess
from pathlib import Path

UNITS = ("sovereign-images.timer", "sovereign-images.service", "kubelet.service", "containerd.service")
PROGRAMS = ("kube", "kubeadm", "kubelet", "kubectl", "containerd", "containerd-shim-runc-v2", "ctr", "runc", "helm")
FOLDERS = (
    *("/etc/cni", "/etc/containerd", "/etc/kubernetes", "/opt/cni", "/run/cilium", "/run/containerd"),
    *("/var/lib/cni", "/var/lib/containerd", "/var/lib/etcd", "/var/lib/kubelet", "/var/lib/sovereign"),
    *("/var/log/containers", "/var/log/kubernetes", "/var/log/pods"),
)
FILES = (
    "/etc/modules-load.d/sovereign.conf",
    "/etc/sysctl.d/90-sovereign.conf",
    "/etc/ssh/sshd_config.d/10-sovereign.conf",
    "/usr/local/lib/sovereign-images",
)
BEGIN, END = "# BEGIN hosts of the cluster", "# END hosts of the cluster"


def quietly(*argv: str) -> str:
    """What a program prints; whether it succeeds does not matter, since what it removes may be gone already."""
    if shutil.which(argv[0]) is None:
        return ""
    return subprocess.run(argv, capture_output=True, check=False, text=True).stdout


def unmount_below(folder: str) -> None:
    """Unmount everything below a folder, the deepest first."""
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for point in sorted((p for p in points if p.startswith(folder + "/")), reverse=True):
        quietly("umount", "--lazy", point)


def remove_unit(unit: str) -> None:
    """Stop a unit and forget it."""
    quietly("systemctl", "disable", "--now", unit)
    Path("/etc/systemd/system", unit).unlink(missing_ok=True)


def end_shims() -> None:
    """End what containerd started: it leaves containers running when it stops, and says by name whose they are."""
    for task in quietly("ctr", "--namespace", "k8s.io", "tasks", "list", "--quiet").split():
        quietly("ctr", "--namespace", "k8s.io", "tasks", "delete", "--force", task)


def take_names_out() -> None:
    """Leave of /etc/hosts what was the host's own."""
    hosts = Path("/etc/hosts").read_text()
    if BEGIN in hosts:
        before, rest = hosts.split(BEGIN, 1)
        Path("/etc/hosts").write_text(before + rest.split(END, 1)[1].lstrip("\n"))


def main() -> None:
    """Remove everything, what uses something before what it uses."""
    remove_unit(UNITS[0])
    end_shims()
    for unit in UNITS[1:]:
        remove_unit(unit)
    for folder in FOLDERS:
        unmount_below(folder)
        shutil.rmtree(folder, ignore_errors=True)
    for program in PROGRAMS:
        Path("/usr/local/bin", program).unlink(missing_ok=True)
    for file in FILES:
        Path(file).unlink(missing_ok=True)
    for link in quietly("sh", "-c", "ls /sys/class/net").split():
        if link.startswith(("cilium_", "lxc")):
            quietly("ip", "link", "delete", link)
    for table in (("ip", "kube-proxy"), ("ip6", "kube-proxy"), ("inet", "sovereign")):
        quietly("nft", "delete", "table", *table)
    remove_unit("sovereign-firewall.service")
    take_names_out()
    quietly("systemctl", "daemon-reload")
    quietly("systemctl", "reload", "ssh.service")
    shutil.rmtree("/etc/sovereign", ignore_errors=True)


main()
