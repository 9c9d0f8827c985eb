"""Removes from a host what the roles made; runs there, from stdin. What was there before them stays."""

import shutil
import subprocess
from pathlib import Path

UNIT = "sovereign-firewall.service"
FILES = (
    "/etc/modules-load.d/sovereign.conf",
    "/etc/ssh/sshd_config.d/10-sovereign.conf",
    "/etc/sysctl.d/90-sovereign.conf",
    f"/etc/systemd/system/{UNIT}",
)
BEGIN, END = "# BEGIN hosts of the cluster", "# END hosts of the cluster"


def quietly(*argv: str) -> None:
    """Run a program; whether it succeeds does not matter, since what it removes may be gone already."""
    subprocess.run(argv, capture_output=True, check=False)


def take_names_out() -> None:
    """Leave of /etc/hosts what was the host's own."""
    hosts = Path("/etc/hosts").read_text()
    if BEGIN in hosts:
        before, rest = hosts.split(BEGIN, 1)
        Path("/etc/hosts").write_text(before + rest.split(END, 1)[1].lstrip("\n"))


def main() -> None:
    """Remove everything; the mark that says whose the host is goes last, so that an interrupted removal is repeated."""
    quietly("systemctl", "disable", "--now", UNIT)
    for file in FILES:
        Path(file).unlink(missing_ok=True)
    quietly("nft", "delete", "table", "inet", "sovereign")
    quietly("systemctl", "daemon-reload")
    quietly("systemctl", "reload", "ssh.service")
    take_names_out()
    shutil.rmtree("/var/lib/sovereign", ignore_errors=True)
    shutil.rmtree("/etc/sovereign")


main()
