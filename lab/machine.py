"""One machine: a systemd-nspawn container with cgroups of its own, which outlives whoever started it."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab import cgroups
from lab.process import Process

if TYPE_CHECKING:
    from collections.abc import Sequence

BOOT_SECONDS = 180
_PROPAGATED = (Path("/run/systemd/nspawn/propagate"), Path("/run/systemd/nspawn/unix-export"))
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # as for who signs in as root
_CLEAN = {"PATH": _PATH, "LANG": "C.UTF-8", "HOME": "/root", "TERM": "dumb"}


@dataclass(frozen=True)
class Machine:
    """What to boot: the tree in ``root``, nspawn's ``options`` for network and binds.

    ``within`` is a process whose network namespace the machine is started in; None: this one's.
    """

    name: str
    root: Path
    options: tuple[str, ...] = ("--private-network",)
    within: Process | None = None

    @property
    def console(self) -> Path:
        """File that the machine's console is written to."""
        return self.root.with_suffix(".console")

    def start(self) -> Running:
        """Switch it on; it goes on running when the caller ends."""
        entry = ["nsenter", "--net", "--target", str(self.within.pid), "--"] if self.within else []
        argv = [
            "systemd-nspawn",
            f"--directory={self.root}",
            f"--machine={self.name}",
            "--register=no",
            "--keep-unit",
            "--boot",
            "--console=pipe",
            "--capability=all",
            "--system-call-filter=@known",
            *self.options,
        ]
        environment = os.environ | {"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1", "SYSTEMD_NSPAWN_USE_CGNS": "1"}
        with self.console.open("ab") as console:
            child = subprocess.Popen(
                ["sh", "-c", cgroups.ENTER, "sh", self.name, *entry, *argv],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = Process.of(child.pid)
        child.returncode = 0  # not waited for by Popen: whoever holds the state file stops it
        return Running(self, process)


@dataclass(frozen=True)
class Running:
    """A machine that was switched on; ``process`` is its systemd-nspawn."""

    machine: Machine
    process: Process

    @property
    def leader(self) -> int | None:
        """Process id, outside, of the machine's first process; None while it is down."""
        return next(iter(self.process.children), None)

    def wait_booted(self) -> None:
        """Wait until systemd inside has finished booting. Raises ``TimeoutError``."""
        deadline = time.monotonic() + BOOT_SECONDS
        while self._state() not in {"running", "degraded"}:
            if time.monotonic() > deadline or not self.process.alive:
                raise TimeoutError(f"{self.machine.name} did not boot; see {self.machine.console}")
            time.sleep(0.3)

    def _state(self) -> str:
        if self.leader is None:
            return "starting"
        return self.run(["systemctl", "is-system-running"], check=False).stdout.strip()

    def inside(self, argv: Sequence[str], *, network_only: bool = False) -> list[str]:
        """The command line that runs ``argv`` in the machine, or merely in its network namespace."""
        leader = self.leader
        assert leader is not None, f"{self.machine.name} is down"
        spaces = ["-n"] if network_only else ["-m", "-u", "-i", "-n", "-p"]
        return ["nsenter", "-t", str(leader), *spaces, "--", *argv]

    def run(
        self, argv: Sequence[str], *, check: bool = True, stdin: str | None = None, seconds: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the machine and capture what it prints.

        Raises ``AssertionError`` with both streams when ``check`` holds and the command fails.
        """
        done = subprocess.run(
            self.inside(argv), input=stdin, env=_CLEAN, capture_output=True, text=True, timeout=seconds, check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{argv} exited {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def cut_power(self) -> None:
        """Kill the machine as a power cut would: nothing inside gets to finish."""
        leader = self.leader
        if leader is not None:
            with suppress(ProcessLookupError):
                Process.of(leader).kill()
        self._wait_down()

    def shut_down(self) -> None:
        """Let the machine shut down in order."""
        if self.leader is not None:
            self.run(["systemctl", "poweroff"], check=False)
        self._wait_down()

    def _wait_down(self) -> None:
        if not self.process.wait(BOOT_SECONDS):
            self.process.kill()
            self.process.wait(BOOT_SECONDS)
        self.process.reap()


def find(name: str) -> Process | None:
    """The systemd-nspawn of a machine that runs, by the cgroups it is in; None when it does not."""
    for group in cgroups.of(name):
        for pid in (group / "cgroup.procs").read_text().split():
            with suppress(OSError):  # it may end while it is looked at
                if Path(f"/proc/{pid}/comm").read_text().strip() == "systemd-nspawn":
                    return Process.of(int(pid))
    return None


def forget(name: str) -> None:
    """Remove what a machine that is down leaves outside its tree: its cgroups and nspawn's folders."""
    cgroups.remove(name)
    for folder in _PROPAGATED:
        with suppress(OSError):
            (folder / name).rmdir()
