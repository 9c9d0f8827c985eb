"""A machine's own cgroups, one in every hierarchy there is, so that its systemd and kubelet never share the root's."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
# Moves the shell into cgroups of its own, then becomes the machine. $1: name; the rest: the machine's command.
ENTER = r"""
name=$1; shift
for c in /sys/fs/cgroup /sys/fs/cgroup/*; do
  [ -f "$c/cgroup.procs" ] || continue
  mkdir -p "$c/$name"
  for f in cpuset.cpus cpuset.mems; do [ -f "$c/$f" ] && cat "$c/$f" > "$c/$name/$f"; done
  echo $$ > "$c/$name/cgroup.procs" || exit 1
done
exec "$@"
"""


def of(name: str) -> tuple[Path, ...]:
    """The cgroups of machine ``name`` that exist, one per hierarchy."""
    return tuple(group for h in (ROOT, *ROOT.iterdir()) if (group := h / name).is_dir() and not group.is_symlink())


def remove(name: str) -> None:
    """Remove the machine's cgroups, which must be empty of processes."""
    for group in of(name):
        for folder, _, _ in os.walk(group, topdown=False):
            os.rmdir(folder)  # noqa: PTH106 - os.walk gives strings
