"""Starting engines, and programs that stand for hostile ones, as the unprivileged user that an engine must be."""

from __future__ import annotations

import os


def unprivileged(argv: list[str]) -> list[str]:
    """``argv`` as an ordinary user without capabilities.

    Where tests run as root, a user namespace maps root to an ordinary number: the program sees itself unprivileged, and
    yet owns root's files, so that only confinement can keep it from them.
    """
    if os.geteuid() != 0:
        return argv
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000", *argv]
