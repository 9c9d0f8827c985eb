"""Removes from a host what the roles made; runs there, from stdin. What was there before them stays."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

FIREWALL = "sovereign-firewall.service"
KEEPALIVED = Path("/etc/keepalived/keepalived.conf")
OURS = "vrrp_instance control_plane {"  # only in the settings that the role made
TAKEN = Path("/etc/sovereign/shared-address")
ENABLED = Path("/etc/sovereign/keepalived-enabled")  # by the role, and not before it
MOUNTS = Path("/proc/mounts")
IMAGES = "sovereign-images.timer"
UNITS = ("sovereign-observer.service", "sovereign-images.service", "kubelet.service", "containerd.service")
FOLDERS = (
    *("/etc/cni", "/etc/containerd", "/etc/kubernetes", "/run/cilium", "/run/containerd"),
    *("/var/lib/cni", "/var/lib/containerd", "/var/lib/etcd", "/var/lib/kubelet"),
    *("/var/log/containers", "/var/log/kubernetes", "/var/log/pods", "/usr/libexec/kubernetes", "/opt/containerd"),
    *("/usr/local/lib/sovereign-observer", "/usr/local/lib/sovereign-next"),
)
FILES = (
    "/etc/modules-load.d/sovereign.conf",
    "/etc/ssh/sshd_config.d/10-sovereign.conf",
    "/etc/sysctl.d/90-sovereign.conf",
    "/etc/systemd/logind.conf.d/99-kubelet.conf",  # the kubelet's, so that a shutdown waits for its pods
    "/usr/local/lib/sovereign-api-ready",
    "/usr/local/lib/sovereign-images",
)
PROGRAMS = Path("/etc/sovereign/programs")
TABLES = (("ip", "kube-proxy"), ("ip6", "kube-proxy"), ("inet", "sovereign"))
PACKET_FILTERS = {"iptables": "ip", "ip6tables": "ip6"}
CHAINS = re.compile(r"\b(OLD_)?(CILIUM_|KUBE-)")
BEGIN, END = "# BEGIN hosts of the cluster", "# END hosts of the cluster"


def quietly(*argv: str, stdin: str = "") -> str:
    """What a program prints; whether it succeeds does not matter, since what it removes may be gone already."""
    if shutil.which(argv[0]) is None:
        return ""
    return subprocess.run(argv, capture_output=True, check=False, text=True, input=stdin).stdout


def mounted_below(folder: str) -> list[str]:
    """Mount points below a folder, the deepest first."""
    escaped = [line.split()[1] for line in MOUNTS.read_text().splitlines()]
    points = [re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), point) for point in escaped]
    return sorted((point for point in points if point.startswith(folder + "/")), reverse=True)


def remove_folder(folder: str) -> None:
    """Remove a folder, and nothing of what is mounted below it: a volume may hold what is somebody else's."""
    for point in mounted_below(folder):
        quietly("umount", "--lazy", point)
    left = mounted_below(folder)
    if left:
        sys.exit(f"{left[0]} is mounted and cannot be unmounted; {folder} stays. unmount it, then try again")
    shutil.rmtree(folder, ignore_errors=True)


def give_the_shared_address_back() -> None:
    """Stop keepalived where the role set it up, and take its settings; it starts at boot if it did before."""
    if KEEPALIVED.exists() and OURS in KEEPALIVED.read_text():
        quietly("systemctl", *(("disable", "--now") if ENABLED.exists() else ("stop",)), "keepalived.service")
        KEEPALIVED.unlink()
    if TAKEN.exists():  # the host that began has it from before keepalived
        address, interface = TAKEN.read_text().split()
        quietly("ip", "address", "del", address, "dev", interface)


def remove_unit(unit: str) -> None:
    """Stop a unit and forget it."""
    quietly("systemctl", "disable", "--now", unit)
    Path("/etc/systemd/system", unit).unlink(missing_ok=True)


def end_containers() -> None:
    """End what containerd started: it leaves containers running when it stops, and says by name whose they are."""
    for task in quietly("ctr", "--namespace", "k8s.io", "tasks", "list", "--quiet").split():
        quietly("ctr", "--namespace", "k8s.io", "tasks", "delete", "--force", task)


def remove_programs() -> None:
    """Remove the programs that the release brought, by the list that was kept of them."""
    listed = PROGRAMS.read_text().splitlines() if PROGRAMS.exists() else []
    for line in listed:
        Path(line).unlink(missing_ok=True)
    shutil.rmtree("/opt/cni", ignore_errors=True)


def remove_network() -> None:
    """Remove what the pods' network left in the kernel."""
    for link in Path("/sys/class/net").iterdir():
        if link.name.startswith(("cilium_", "lxc")):
            quietly("ip", "link", "delete", link.name)
    for table in TABLES:
        quietly("nft", "delete", "table", *table)
    for program, family in PACKET_FILTERS.items():
        forget_chains(program, family)
    for space in Path("/run/netns").glob("cni-*"):
        quietly("umount", "--lazy", str(space))
        space.unlink(missing_ok=True)
    for pinned in ("cilium", "tc"):
        shutil.rmtree(Path("/sys/fs/bpf", pinned), ignore_errors=True)


def forget_chains(program: str, family: str) -> None:
    """Remove the chains that kubelet and Cilium made by iptables, and tables that hold nothing then."""
    saved = quietly(f"{program}-save").splitlines()
    kept = [line for line in saved if not CHAINS.search(line)]
    if kept == saved:
        return
    quietly(f"{program}-restore", stdin="\n".join(kept) + "\n")
    table, rules = "", dict[str, bool]()
    for line in kept:
        table = line[1:] if line.startswith("*") else table
        rules[table] = rules.get(table, False) or line.startswith("-A") or (line.startswith(":") and " - [" in line)
    for name in (name for name, used in rules.items() if name and not used):
        quietly("nft", "delete", "table", family, name)


def take_names_out() -> None:
    """Leave of /etc/hosts what was the host's own."""
    hosts = Path("/etc/hosts").read_text()
    if BEGIN in hosts:
        before, rest = hosts.split(BEGIN, 1)
        Path("/etc/hosts").write_text(before + rest.split(END, 1)[1].lstrip("\n"))


def refuse_another_s(identity: str) -> None:
    """Leave a host alone that bears the mark of another site."""
    mark = Path("/etc/sovereign/site.json")
    if mark.exists() and json.loads(mark.read_text())["id"] != identity:
        sys.exit("the host belongs to another site; nothing was removed from it")


def main() -> None:
    """Remove everything, what uses something before what it uses.

    The mark that says whose the host is goes last, so that an interrupted removal is repeated.
    """
    refuse_another_s(sys.argv[1])
    remove_unit(IMAGES)
    quietly("systemctl", "stop", "kubelet.service")
    end_containers()
    for unit in UNITS:
        remove_unit(unit)
    give_the_shared_address_back()
    for folder in FOLDERS:
        remove_folder(folder)
    remove_programs()
    for file in FILES:
        Path(file).unlink(missing_ok=True)
    remove_unit(FIREWALL)
    remove_network()
    quietly("systemctl", "daemon-reload")
    quietly("systemctl", "reload", "ssh.service")
    quietly("systemctl", "kill", "--signal=HUP", "systemd-logind.service")
    take_names_out()
    remove_folder("/var/lib/sovereign")
    shutil.rmtree("/etc/sovereign")


main()
