"""One bare host: boot it, run commands in it, cut its power, remove it.

The machine is a systemd-nspawn container with a network namespace that holds only loopback, and with cgroups of its
own in every hierarchy, so that its systemd never touches this machine's root cgroup.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lab import tree

if TYPE_CHECKING:
    from collections.abc import Sequence

CGROUPS = Path("/sys/fs/cgroup")
BOOT_SECONDS = 90
# Moves the shell into cgroups of its own, then becomes the machine. $1: name; the rest: the machine's command.
_ENTER_CGROUPS = r"""
name=$1; shift
for c in /sys/fs/cgroup /sys/fs/cgroup/*; do
  [ -f "$c/cgroup.procs" ] || continue
  mkdir -p "$c/$name"
  for f in cpuset.cpus cpuset.mems; do [ -f "$c/$f" ] && cat "$c/$f" > "$c/$name/$f"; done
  echo $$ > "$c/$name/cgroup.procs" || exit 1
done
exec "$@"
"""


@dataclass
class BareHost:
    """A Debian host named ``name`` whose tree lies in ``root``; ``binds`` are mounted read-only inside."""

    name: str
    root: Path
    binds: dict[Path, str] = field(default_factory=dict)
    _machine: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Unpack the base tree."""
        tree.unpack(tree.base_archive(), self.root, hostname=self.name)

    def boot(self) -> None:
        """Start the machine and wait until its systemd has finished booting. Raises ``TimeoutError``."""
        argv = [
            "systemd-nspawn",
            f"--directory={self.root}",
            f"--machine={self.name}",
            "--register=no",
            "--keep-unit",
            "--boot",
            "--console=pipe",
            "--private-network",
            "--capability=all",
            "--system-call-filter=@known",
            *(f"--bind-ro={source}:{target}" for source, target in self.binds.items()),
        ]
        environment = os.environ | {"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1", "SYSTEMD_NSPAWN_USE_CGNS": "1"}
        with self._console().open("ab") as console:
            self._machine = subprocess.Popen(
                ["sh", "-c", _ENTER_CGROUPS, "sh", self.name, *argv],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + BOOT_SECONDS
        while self._state() not in {"running", "degraded"}:
            if time.monotonic() > deadline or self._machine.poll() is not None:
                raise TimeoutError(f"{self.name} did not boot; see {self._console()}")
            time.sleep(0.3)

    def _console(self) -> Path:
        return self.root.with_suffix(".console")

    def _state(self) -> str:
        if self.leader is None:
            return "starting"
        return self.run(["systemctl", "is-system-running"], check=False).stdout.strip()

    @property
    def leader(self) -> int | None:
        """Process id, outside, of the machine's first process; None while it is down."""
        if self._machine is None or self._machine.poll() is not None:
            return None
        children = Path(f"/proc/{self._machine.pid}/task/{self._machine.pid}/children").read_text().split()
        return int(children[0]) if children else None

    def inside(self, argv: Sequence[str], *, network_only: bool = False) -> list[str]:
        """The command line that runs ``argv`` in the machine, or merely in its network namespace."""
        assert self.leader is not None, f"{self.name} is down"
        spaces = ["-n"] if network_only else ["-m", "-u", "-i", "-n", "-p"]
        return ["nsenter", "-t", str(self.leader), *spaces, "--", *argv]

    def run(
        self, argv: Sequence[str], *, check: bool = True, stdin: str | None = None, seconds: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the machine and capture what it prints.

        Raises ``AssertionError`` with both streams when ``check`` holds and the command fails.
        """
        clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root", "TERM": "dumb"}
        done = subprocess.run(
            self.inside(argv), input=stdin, env=clean, capture_output=True, text=True, timeout=seconds, check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{argv} exited {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def cut_power(self) -> None:
        """Kill the machine as a power cut would: nothing inside gets to finish."""
        if self.leader is not None:
            os.kill(self.leader, signal.SIGKILL)
        self._wait_down()

    def shut_down(self) -> None:
        """Let the machine shut down in order."""
        if self.leader is not None:
            self.run(["systemctl", "poweroff"], check=False)
        self._wait_down()

    def _wait_down(self) -> None:
        if self._machine is None:
            return
        try:
            self._machine.wait(timeout=BOOT_SECONDS)
        except subprocess.TimeoutExpired:
            self._machine.kill()
            self._machine.wait()
        self._machine = None

    def remove(self) -> None:
        """Stop the machine and remove its tree, console and cgroups."""
        self.cut_power()
        for hierarchy in [CGROUPS, *CGROUPS.iterdir()]:
            _remove_cgroup(hierarchy / self.name)
        if self.root.exists():
            tree.remove(self.root)
        self._console().unlink(missing_ok=True)


def _remove_cgroup(group: Path) -> None:
    if not group.is_dir() or group.is_symlink():
        return
    for folder, _, _ in os.walk(group, topdown=False):
        os.rmdir(folder)  # noqa: PTH106 - os.walk gives strings
