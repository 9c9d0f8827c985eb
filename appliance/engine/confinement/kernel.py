"""The kernel calls that take rights away. The only module here that leaves Python (ctypes); it decides nothing.

Every function raises ``OSError`` with the kernel's number when the kernel refuses. Nothing taken away comes back.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import stat
from typing import Protocol

from appliance.engine.confinement import landlock

_SECCOMP = {"x86_64": 317, "aarch64": 277}
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every machine
_VERSION = 1
_PATH_BENEATH = 1
_SET_DUMPABLE, _SET_SECCOMP, _SET_NO_NEW_PRIVS = 4, 22, 38
_MODE_FILTER = 2
_SET_MODE_FILTER = 1
_ALL_THREADS = 1
_FILTER_BYTES = 8
_PROC = "/proc"
"""A rule holds for a folder as it was looked up; of these the kernel makes others once nobody holds them."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


class Kernel(Protocol):
    """What confinement asks of the kernel."""

    def forbid_new_privileges(self) -> None:
        """Set ``no_new_privs`` and clear ``dumpable``: no core file, no ptrace by the same user."""

    def filter_calls(self, program: bytes) -> None:
        """Lay the seccomp filter ``program`` over every thread of the process."""

    def landlock_abi(self) -> int:
        """Landlock's ABI, 0 where the kernel has none."""

    def restrict_files(self, abi: int, view: landlock.View) -> None:
        """Lay a landlock ruleset over this thread; those that it starts inherit it."""


class Linux:
    """Implements ``Kernel`` by the running one."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def forbid_new_privileges(self) -> None:
        """See ``Kernel``."""
        self._done("prctl", self._libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        self._done("prctl", self._libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0))

    def filter_calls(self, program: bytes) -> None:
        """See ``Kernel``. All or none: ``no_new_privs`` too is set on every thread, and one that cannot be fails it."""
        code = ctypes.create_string_buffer(program, len(program))
        described = _Program(len(program) // _FILTER_BYTES, ctypes.addressof(code))
        arguments = (_SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(described))
        if self._done("seccomp", self._libc.syscall(self._seccomp_number(), *arguments)) > 0:
            raise OSError(errno.ESRCH, "seccomp: a thread cannot be brought under the filter")

    def can_filter_calls(self) -> bool:
        """Whether filters can be set: prctl(2) says EFAULT for one that is no address, EINVAL without support."""
        refused = self._libc.prctl(_SET_SECCOMP, _MODE_FILTER, 0, 0, 0) == -1
        return refused and ctypes.get_errno() == errno.EFAULT and platform.machine() in _SECCOMP

    def landlock_abi(self) -> int:
        """See ``Kernel``."""
        return max(int(self._libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)), 0)

    def restrict_files(self, abi: int, view: landlock.View) -> None:
        """See ``Kernel``."""
        handled = landlock.ruleset(abi)
        made = self._libc.syscall(_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
        ruleset = self._done("landlock_create_ruleset", made)
        try:
            for grant in landlock.grants(view, abi):
                self._add(ruleset, grant)
            self._done("landlock_restrict_self", self._libc.syscall(_RESTRICT_SELF, ruleset, 0))
        finally:
            os.close(ruleset)

    def _add(self, ruleset: int, grant: landlock.Grant) -> None:
        target = os.open(grant.path, os.O_PATH | os.O_CLOEXEC)
        try:
            folder = stat.S_ISDIR(os.fstat(target).st_mode)
            rule = landlock.beneath(grant.rights if folder else grant.rights & landlock.ON_FILES, target)
            self._done("landlock_add_rule", self._libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0))
        finally:
            if not grant.path.is_relative_to(_PROC):  # else it stays open for as long as the process lives
                os.close(target)

    @staticmethod
    def _seccomp_number() -> int:
        try:
            return _SECCOMP[platform.machine()]
        except KeyError:
            raise OSError(errno.ENOSYS, f"seccomp on {platform.machine()} is not known here") from None

    @staticmethod
    def _done(what: str, result: int) -> int:
        if result == -1:
            number = ctypes.get_errno()
            raise OSError(number, f"{what}: {os.strerror(number)}")
        return result
