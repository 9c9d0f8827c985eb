"""What an artifact asks to be fetched, before it is locked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airgap_bundle.build.python_packages import Requirement, Target
from airgap_bundle.errors import LockError

if TYPE_CHECKING:
    from airgap_bundle.lock import InputKind, LockedInput

ANY_TARGET = Target("3.11", "x86_64", "2.28")


@dataclass(frozen=True)
class Request:
    """One input by name and version; ``hashes`` are the only acceptable digests where somebody pinned them before."""

    artifact: str
    kind: InputKind
    name: str
    version: str
    hashes: tuple[str, ...] = ()
    target: Target = ANY_TARGET
    extension: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The key of the lock entry."""
        return self.artifact, self.kind, self.name, self.version

    def requirement(self) -> Requirement:
        """As pip is asked for it."""
        return Requirement(self.name, self.version, self.hashes)

    def coordinate(self) -> str:
        """As Maven is asked for it."""
        return f"{self.name}:{self.version}:{self.extension}"

    def pinned(self, locked: LockedInput) -> Request:
        """This request for exactly ``locked``. Raises ``LockError`` when it is none of the acceptable digests."""
        if self.hashes and locked.sha256 not in self.hashes:
            raise LockError(
                f"{self.name} {self.version}: the requirements do not list the locked file {locked.file}",
                f"run `sovereign bundle lock --relock {self.name}`",
            )
        return replace(self, hashes=(locked.sha256,))
