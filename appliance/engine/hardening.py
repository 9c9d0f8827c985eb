"""What the process gives up before it opens a model: new privileges, and being read or dumped by others.

Called before any thread exists: ``no_new_privs`` is per thread and inherited by those started later.
"""

from __future__ import annotations

import ctypes
import os

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38


def restrict_process() -> None:
    """Set ``no_new_privs`` and clear ``dumpable`` (no core file, no ptrace by the same uid). Raises ``OSError``."""
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_NO_NEW_PRIVS, 1), (_PR_SET_DUMPABLE, 0)):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"prctl({option}): {os.strerror(number)}")
