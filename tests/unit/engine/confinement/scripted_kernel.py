"""A kernel that notes what it is asked, and lacks what a test takes from it."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.engine.confinement.landlock import View


@dataclass
class ScriptedKernel:
    """Implements ``appliance.engine.confinement.kernel.Kernel``."""

    abi: int = 7
    lacks: frozenset[str] = frozenset()
    number: int = errno.EINVAL
    asked: list[str] = field(default_factory=list)
    views: list[View] = field(default_factory=list)

    def _ask(self, name: str) -> None:
        self.asked.append(name)
        if name in self.lacks:
            raise OSError(self.number, f"{name}: {os.strerror(self.number)}")

    def forbid_new_privileges(self) -> None:
        self._ask("no_new_privs")

    def filter_calls(self, program: bytes) -> None:
        assert len(program) % 8 == 0
        self._ask("seccomp")

    def landlock_abi(self) -> int:
        return self.abi

    def restrict_files(self, abi: int, view: View) -> None:
        assert abi == self.abi
        self.views.append(view)
        self._ask("landlock")
