"""Locking Debian packages, and fetching what is locked.

A release takes each package at one version, as the suite has it today. Debian drops versions when it has newer ones:
what was locked then lies in the builder's cache alone (`sovereign bundle inputs export` carries it to another), and a
builder whose cache lacks it is told which part to lock again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap_bundle.build.debian.apt import VanishedError, machine_archive, opened
from airgap_bundle.build.process import ProgramError
from airgap_bundle.errors import LockError
from airgap_bundle.locked_packages import LockedPackage, PackageSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from airgap_bundle.build.cache import BuildCache, CachedFile
    from airgap_bundle.build.debian.apt import Apt, Archive
    from airgap_bundle.build.stage import Stage


BATCH_FILES = 32
BATCH_BYTES = 64 << 20


@dataclass(frozen=True)
class PackageRequest:
    """What ``artifact`` asks of ``suite``: ``asked`` with all they depend on, but for ``without``; both sorted."""

    artifact: str
    suite: str
    asked: tuple[str, ...]
    without: tuple[str, ...]

    @property
    def question(self) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
        """Compared with ``PackageSet.question``."""
        return self.artifact, self.suite, self.asked, self.without


def lock_packages(
    requests: Sequence[PackageRequest],
    kept: Mapping[str, PackageSet],
    cache: BuildCache,
    stage: Stage,
    find: Callable[[str], Archive] = machine_archive,
) -> tuple[PackageSet, ...]:
    """Sets for ``requests``, every file of them in the cache.

    Those of ``kept``, by artifact, stay where they answer the same question. Raises ``LockError``.
    """
    stay = {item.artifact: kept[item.artifact] for item in requests if _answered(item, kept)}
    fresh = [item for item in requests if item.artifact not in stay]
    found = dict(stay)
    for suite in sorted({item.suite for item in fresh}):
        with opened(find(suite)) as apt, stage(f"resolve debian {suite}", "steps") as advance:
            mine = [item for item in fresh if item.suite == suite]
            for done, item in enumerate(mine):
                advance(done, len(mine))
                found[item.artifact] = _resolve(item, apt)
            advance(len(mine), len(mine))
    sets = tuple(found[item.artifact] for item in requests)
    fetch_packages(sets, cache, stage, find)
    return sets


def _answered(item: PackageRequest, kept: Mapping[str, PackageSet]) -> bool:
    return item.artifact in kept and kept[item.artifact].question == item.question


def _resolve(request: PackageRequest, apt: Apt) -> PackageSet:
    try:
        closure = apt.closure(request.asked)
    except ProgramError as error:
        raise LockError(
            f"{request.artifact}: debian {request.suite} cannot give {', '.join(request.asked)}: {error.cause}",
            error.hint,
        ) from error
    idle = set(request.without) - {name for name, _ in closure}
    if idle:
        raise LockError(
            f"{request.artifact}: nothing depends on {', '.join(sorted(idle))}, so that leaving it out says nothing",
            "remove it from `without`",
        )
    wanted = [(name, version) for name, version in closure if name not in request.without]
    packages = tuple(apt.describe(wanted))
    return PackageSet(request.artifact, request.suite, request.asked, request.without, packages)


def fetch_packages(
    sets: Sequence[PackageSet],
    cache: BuildCache,
    stage: Stage,
    find: Callable[[str], Archive] = machine_archive,
) -> dict[LockedPackage, CachedFile]:
    """Every package of ``sets`` from the cache, fetching what is missing. Raises ``LockError`` for what vanished."""
    owners = {package: item for item in reversed(sets) for package in item.packages}
    found: dict[LockedPackage, CachedFile] = {}
    for package in owners:
        file = cache.verified(package.sha256, package.size)
        if file is not None:
            found[package] = file
    missing = {package: item for package, item in owners.items() if package not in found}
    for suite in sorted({item.suite for item in missing.values()}):
        mine = {package: item.artifact for package, item in sorted(missing.items()) if item.suite == suite}
        with opened(find(suite)) as apt:
            found |= _download(mine, apt, cache, stage)
    return found


def _download(
    wanted: Mapping[LockedPackage, str], apt: Apt, cache: BuildCache, stage: Stage
) -> dict[LockedPackage, CachedFile]:
    """Fetch ``wanted``, artifacts by package, in batches of which each is kept as soon as it is there."""
    total, done = sum(package.size for package in wanted), 0
    found = {}
    with stage("fetch debian packages") as advance:
        for batch in _batches(wanted):
            try:
                files = apt.download(batch)
            except VanishedError as error:
                names = ", ".join(map(str, error.packages))
                raise LockError(f"debian's archive no longer has {names}", _hint(wanted[error.packages[0]])) from error
            for package, path in files.items():
                found[package] = _kept(package, path, cache, wanted[package])
                done += package.size
                advance(done, total)
    return found


def _batches(wanted: Mapping[LockedPackage, str]) -> Iterator[list[LockedPackage]]:
    batch: list[LockedPackage] = []
    for package in wanted:
        batch.append(package)
        if len(batch) == BATCH_FILES or sum(item.size for item in batch) > BATCH_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


def _kept(package: LockedPackage, path: Path, cache: BuildCache, artifact: str) -> CachedFile:
    file = cache.add_file(path)
    path.unlink()
    if (file.sha256, file.size) != (package.sha256, package.size):
        cache.forget(file.sha256)
        raise LockError(f"{package} changed since it was locked", _hint(artifact))
    return file


def _hint(artifact: str) -> str:
    return (
        f"run `sovereign bundle lock --relock {artifact}` and review what changed, or bring the file from a builder "
        "who has it: `sovereign bundle inputs export` there, `inputs import` here"
    )
