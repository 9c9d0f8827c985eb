"""Two lab hosts, and what the machine looked like before them."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab import cgroups, guard
from lab.lab import Lab, scratch_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

SYSCTLS = (*guard.PRIVATE, "kernel/pid_max", "fs/protected_fifos", "fs/protected_regular", "net/ipv4/ip_forward")


@dataclass(frozen=True)
class Traces:
    """What a lab could leave on the machine."""

    mounts: frozenset[str]
    links: frozenset[str]
    namespaces: frozenset[str]
    cgroups: frozenset[str]
    nspawn: frozenset[str]
    settings: tuple[str, ...]

    @classmethod
    def now(cls) -> Traces:
        links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
        return cls(
            frozenset(" ".join(line.split()[3:5]) for line in Path("/proc/self/mountinfo").read_text().splitlines()),
            frozenset(line.split(":")[1] for line in links.splitlines()),
            frozenset(p.name for p in Path("/run/netns").glob("*")),
            frozenset(str(p) for p in cgroups.ROOT.glob("*/*") if p.is_dir() and not p.name.startswith("bare")),
            # by name: propagate and unix-export; its locks are by inode
            frozenset(str(p) for p in Path("/run/systemd/nspawn").glob("[pu]*/*") if not p.name.startswith("bare")),
            settings(),
        )


def settings() -> tuple[str, ...]:
    """The machine's own values of what a lab host might write."""
    return tuple(f"{name}={Path('/proc/sys', name).read_text().strip()}" for name in SYSCTLS)


@pytest.fixture(scope="package")
def before() -> Traces:
    if os.geteuid() != 0:
        pytest.skip("needs root: hosts are machines with kernel namespaces of their own")
    return Traces.now()


@pytest.fixture(scope="package")
def lab(before: Traces) -> Iterator[Lab]:
    made = Lab(scratch_folder())
    try:
        made.up(2)
        yield made
    finally:
        made.down()
    assert Traces.now() == before
