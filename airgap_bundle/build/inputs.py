"""What an artifact asks to be fetched, before it is locked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airgap_bundle.build.python_packages import Requirement, Target
from airgap_bundle.errors import LockError
from airgap_bundle.lock import Key, LockedInput

if TYPE_CHECKING:
    from airgap_bundle.lock import InputKind

ANY_TARGET = Target("3.11", "x86_64", "2.28")


@dataclass(frozen=True)
class Request:
    """One input by name and version; ``hashes`` are the only acceptable digests where somebody pinned them before.

    ``target`` None: no interpreter is asked for, because the file is the same for all.
    """

    artifact: str
    kind: InputKind
    name: str
    version: str
    hashes: tuple[str, ...] = ()
    target: Target | None = None
    extension: str = ""

    @property
    def key(self) -> Key:
        """The key of the lock entry."""
        return Key(self.artifact, self.kind, self.name, self.version, self.python)

    @property
    def python(self) -> str:
        """The interpreter that the file is for; empty when none is asked for."""
        return self.target.python if self.target is not None else ""

    @property
    def pip_target(self) -> Target:
        """What pip is told to choose a wheel for."""
        return self.target or ANY_TARGET

    def requirement(self) -> Requirement:
        """As pip is asked for it."""
        return Requirement(self.name, self.version, self.hashes)

    def coordinate(self) -> str:
        """As Maven is asked for it."""
        return f"{self.name}:{self.version}:{self.extension}"

    def locked_as(self, file: str, sha256: str, size: int) -> LockedInput:
        """The entry of a lock, when ``file`` is what came."""
        python = (self.python,) if self.python else ()
        return LockedInput(self.artifact, self.kind, self.name, self.version, file, sha256, size, python)

    def pinned(self, locked: LockedInput) -> Request:
        """This request for exactly ``locked``. Raises ``LockError`` when it is none of the acceptable digests."""
        if self.hashes and locked.sha256 not in self.hashes:
            raise LockError(
                f"{self.name} {self.version}: the requirements do not list the locked file {locked.file}",
                f"run `sovereign bundle lock --relock {self.name}`",
            )
        return replace(self, hashes=(locked.sha256,))
