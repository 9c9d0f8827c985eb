"""A release description with what it extends, and the lock of both.

The description that is extended keeps its own lock: locking again what a release adds never touches what it builds on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap_bundle.build.kinds import KINDS
from airgap_bundle.errors import LockError
from airgap_bundle.lock import ReleaseLock, load_lock
from airgap_bundle.release_file import load_release

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.build.debian.package_lock import PackageRequest
    from airgap_bundle.build.inputs import Request
    from airgap_bundle.release_file import ArtifactSpec, ReleaseFile


@dataclass(frozen=True)
class Description:
    """``release`` as it stands at ``path``, and what it extends."""

    path: Path
    release: ReleaseFile
    base: Description | None

    @property
    def folder(self) -> Path:
        """What paths in the description are relative to."""
        return self.path.parent

    @property
    def artifacts(self) -> tuple[ArtifactSpec, ...]:
        """Everything in the release, what is extended first."""
        return (*(self.base.artifacts if self.base else ()), *self.release.artifacts)

    def lock(self, path: Path | None = None) -> ReleaseLock:
        """The lock of everything; ``path`` is where the description's own lies, if not beside it.

        Raises ``LockError`` when one is missing or is the lock of another release.
        """
        lock = load_lock(path or lock_path(self.path))
        if (lock.name, lock.version) != (self.release.name, self.release.version):
            raise LockError(
                f"{lock_path(self.path).name} is of {lock.name} {lock.version}, {self.path.name} is "
                f"{self.release.name} {self.release.version}",
                "run `sovereign bundle lock`",
            )
        return lock if self.base is None else _joined(self.base.lock(), lock)


def load_description(path: Path) -> Description:
    """Read ``path`` and what it extends. Raises ``LockError``."""
    release = load_release(path)
    if release.extends is None:
        return Description(path, release, None)
    base = load_release(path.with_name(release.extends))
    if base.extends is not None:
        raise LockError(f"{release.extends} extends {base.extends}", "a release extends one that stands by itself")
    if base.source_date != release.source_date:
        raise LockError(f"{path.name} and {release.extends} have two source dates", "give both the same")
    twice = {item.name for item in base.artifacts} & {item.name for item in release.artifacts}
    if twice:
        raise LockError(f"{path.name} and {release.extends} both have {', '.join(sorted(twice))}", "rename one")
    return Description(path, release, Description(path.with_name(release.extends), base, None))


def lock_path(release_path: Path) -> Path:
    """Where the lock lies unless somebody names another: beside the release file, with its name."""
    return release_path.with_suffix(".lock")


def requests_of(release: ReleaseFile, folder: Path) -> list[Request]:
    """Every input that ``release`` itself asks for; ``folder`` is where release.yaml lies."""
    return [request for spec in release.artifacts for request in KINDS[spec.kind].requests(spec, folder)]


def programs_of(release: ReleaseFile, folder: Path) -> list[str]:
    """Every Go program that ``release`` itself asks for, each once."""
    return sorted({name for spec in release.artifacts for name in KINDS[spec.kind].programs(spec, folder)})


def packages_of(release: ReleaseFile, folder: Path) -> list[PackageRequest]:
    """What ``release`` itself asks of Debian, by artifact."""
    asked = (KINDS[spec.kind].packages(spec, folder, release.debian) for spec in release.artifacts)
    return [request for request in asked if request is not None]


def _joined(base: ReleaseLock, own: ReleaseLock) -> ReleaseLock:
    return ReleaseLock(
        own.name,
        own.version,
        (*base.inputs, *own.inputs),
        (*base.compiled, *own.compiled),
        (*base.images, *own.images),
        (*base.programs, *own.programs),
        (*base.packages, *own.packages),
    )
