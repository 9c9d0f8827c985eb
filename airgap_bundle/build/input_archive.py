"""Carrying inputs from one builder's cache to another's: what registries and Debian have dropped lies nowhere else.

An exported folder is a cache as far as it goes: `inputs/sha256/<hex>`, every file named by its digest, so that taking
it in can check each by itself. What a lock names is exported and nothing besides: fetched files, compiled wheels and
programs. Layers and the like are not: they follow from these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.errors import BuildError, LockError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airgap_bundle.build.stage import Stage
    from airgap_bundle.lock import ReleaseLock

_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Carried:
    """How many files were carried, how many were there before, and bytes of all."""

    files: int
    present: int
    size: int


def locked_files(lock: ReleaseLock) -> dict[str, tuple[int, str]]:
    """Everything that ``lock`` names by digest (hex): size, and what to call it."""
    return {digest: (size, name) for digest, size, name in _named(lock)}


def _named(lock: ReleaseLock) -> Iterator[tuple[str, int, str]]:
    yield from ((item.sha256, item.size, item.file) for item in lock.inputs)
    yield from ((item.sha256, item.size, item.file) for item in lock.compiled)
    for program in lock.programs:
        yield from ((file.sha256, file.size, f"{program.name}/{name}") for name, file in program.files.items())
    for packages in lock.packages:
        yield from ((item.sha256, item.size, item.file) for item in packages.packages)


def export_inputs(lock: ReleaseLock, cache: BuildCache, dest: Path, stage: Stage) -> Carried:
    """Copy everything that ``lock`` names from ``cache`` into ``dest``; what is there already and right stays.

    Raises ``LockError`` when the cache lacks something: half an archive is worse than none, and is not begun.
    """
    wanted = locked_files(lock)
    lacking = [name for digest, (size, name) in wanted.items() if not _there(cache, digest, size)]
    if lacking:
        raise LockError(
            f"this cache lacks {len(lacking)} of {len(wanted)} inputs, {lacking[0]} first",
            "run `sovereign bundle lock`",
        )
    return _carry({digest: size for digest, (size, _) in wanted.items()}, cache, BuildCache(dest), stage)


def import_inputs(source: Path, cache: BuildCache, stage: Stage) -> Carried:
    """Take every file of an exported folder into ``cache``.

    Raises ``BuildError`` for a folder that is none, and for the first file whose bytes are not what its name says;
    those before it stay.
    """
    folder = source / "inputs" / "sha256"
    if not folder.is_dir():
        raise BuildError(f"{source} holds no exported inputs", "name the folder that `bundle inputs export` wrote")
    found = {path.name: path.stat().st_size for path in folder.iterdir() if _HEX.fullmatch(path.name)}
    return _carry(found, BuildCache(source), cache, stage)


def _there(cache: BuildCache, digest: str, size: int) -> bool:
    path = cache.path(digest)
    return path.is_file() and path.stat().st_size == size


def _carry(wanted: dict[str, int], source: BuildCache, dest: BuildCache, stage: Stage) -> Carried:
    total, done, present = sum(wanted.values()), 0, 0
    with stage("carry inputs") as advance:
        for digest, size in sorted(wanted.items()):
            if dest.verified(digest, size) is not None:
                present += 1
            elif (got := dest.add_file(source.path(digest))).sha256 != digest:
                dest.forget(got.sha256)
                raise BuildError(f"the file {digest} holds other bytes than its name says", "export it again")
            done += size
            advance(done, total)
    return Carried(len(wanted) - present, present, total)
