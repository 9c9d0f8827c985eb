"""`bundle lock` and `bundle build`: from a release description to a lock, and from both to an unsigned layout."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airgap_bundle.build.artifact import BuildContext
from airgap_bundle.build.debian.package_lock import lock_packages
from airgap_bundle.build.description import (
    load_description,
    lock_path,
    packages_of,
    programs_of,
    requests_of,
)
from airgap_bundle.build.fetch import fetch_locked, resolve
from airgap_bundle.build.image_lock import image_changes, images_of, lock_images
from airgap_bundle.build.kinds import KINDS
from airgap_bundle.build.layout_writer import LayoutPlan, check_folder, write_layout
from airgap_bundle.build.recipe.program_supply import lock_programs
from airgap_bundle.build.sbom import artifact_sbom, release_sbom
from airgap_bundle.digest import sha256
from airgap_bundle.errors import BuildError, LockError
from airgap_bundle.lock import ReleaseLock, dump_lock, load_lock, merged

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from airgap_bundle.build.artifact import BuiltArtifact
    from airgap_bundle.build.cache import BuildCache
    from airgap_bundle.build.description import Description
    from airgap_bundle.build.stage import Stage
    from airgap_bundle.compiled_recipe import CompiledRecipe
    from airgap_bundle.release_file import ReleaseFile


@dataclass(frozen=True)
class BuiltBundle:
    """What `bundle build` made: the digest of ``index.json`` is what people compare."""

    folder: Path
    name: str
    version: str
    number: int
    index: str
    release: str
    artifacts: tuple[tuple[str, str, str], ...]
    blobs: int
    size: int


@contextmanager
def _disk_errors(where: Path) -> Iterator[None]:
    """A full or failing disk is told as a cause; what is complete stays in the cache."""
    try:
        yield
    except OSError as error:
        raise BuildError(
            f"{error.filename or where}: {str(error.strerror).lower()}",
            "mend that and run the command again: it goes on from here",
        ) from error


def lock_release(
    release_path: Path, *, cache: BuildCache, stage: Stage, relock: Collection[str] = (), lock: Path | None = None
) -> tuple[ReleaseLock, tuple[str, ...]]:
    """Write the lock of ``release_path`` to ``lock``, or beside it; the value is it, and what changed, in words.

    What is locked and still asked for stays as it is, except the inputs and compiled packages named in ``relock``.
    Raises ``LockError`` for a name in ``relock`` that the release does not have.
    """
    with _disk_errors(cache.root):
        return _lock(release_path, lock or lock_path(release_path), cache, stage, relock)


def _lock(
    release_path: Path, path: Path, cache: BuildCache, stage: Stage, relock: Collection[str]
) -> tuple[ReleaseLock, tuple[str, ...]]:
    release, folder = load_description(release_path).release, release_path.parent
    old = load_lock(path) if path.exists() else ReleaseLock(release.name, release.version)
    wanted, images = requests_of(release, folder), images_of(release)
    programs, packages = programs_of(release, folder), packages_of(release, folder)
    known = {*(request.name for request in wanted), *(spec.name for spec in images), *programs}
    known |= {item.name for spec in release.artifacts if spec.kind == "wheelhouse" for item in spec.compiled}
    unknown = set(relock) - known - {request.artifact for request in packages}
    if unknown:
        raise LockError(f"the release has no input {', '.join(sorted(unknown))}", "names are as in release.lock")
    locked_before = {key: item for item in old.inputs if item.name not in relock for key in item.keys}
    kept = {
        request.key: request.locked_as(before.file, before.sha256, before.size)
        for request in wanted
        if (before := locked_before.get(request.key)) and (not request.hashes or before.sha256 in request.hashes)
    }
    fresh = resolve([request for request in wanted if request.key not in kept], cache, stage)
    lock = ReleaseLock(release.name, release.version, merged([*kept.values(), *fresh]))
    still = tuple(recipe for recipe in old.compiled if recipe.name not in relock)
    kept_images = {item.artifact: item for item in old.images if item.artifact not in relock}
    locked_images, notes = lock_images(images, folder, kept_images, cache, stage)
    kept_programs = {item.name: item for item in old.programs if item.name not in relock}
    kept_packages = {item.artifact: item for item in old.packages if item.artifact not in relock}
    lock = replace(
        lock,
        images=locked_images,
        programs=lock_programs(programs, folder, kept_programs, cache, stage),
        packages=lock_packages(packages, kept_packages, cache, stage),
    )
    lock = replace(lock, compiled=_compiled(release, folder, replace(lock, compiled=still), cache, stage))
    data = dump_lock(lock)
    partial = path.with_suffix(".partial")
    partial.write_bytes(data)
    partial.replace(path)
    return lock, (*_changes(old, lock), *notes)


def build_release(
    release_path: Path, dest: Path, *, cache: BuildCache, stage: Stage, lock: Path | None = None
) -> BuiltBundle:
    """Build the release of ``release_path``, locked by ``lock`` or the file beside it, into ``dest``.

    See ``write_layout`` for what may lie in ``dest``.
    """
    with _disk_errors(dest):
        described = load_description(release_path)
        check_folder(dest)
        return _build(described, described.lock(lock), dest, cache, stage)


def _build(described: Description, lock: ReleaseLock, dest: Path, cache: BuildCache, stage: Stage) -> BuiltBundle:
    release = described.release
    built = _artifacts(described, lock, cache, stage)
    plan = LayoutPlan()
    for artifact in built:
        plan.add_artifact(artifact, artifact_sbom(artifact, release.epoch, cache))
    layout = plan.finish(release, release_sbom(release.name, release.version, built, release.epoch, cache))
    write_layout(layout, dest, cache, stage)
    return BuiltBundle(
        dest,
        release.name,
        release.version,
        release.number,
        sha256(layout.index),
        sha256(layout.release),
        tuple((item.name, item.kind, item.version) for item in built),
        len(layout.files) + len(layout.documents),
        layout.size,
    )


def _artifacts(described: Description, lock: ReleaseLock, cache: BuildCache, stage: Stage) -> list[BuiltArtifact]:
    """Every artifact of the release in its order; a later one may be made of earlier ones."""
    release, folder = described.release, described.folder
    parts = [described.base.release, release] if described.base else [release]
    wanted = [(request, lock.find(request.key)) for part in parts for request in requests_of(part, folder)]
    for request, locked in wanted:
        request.pinned(locked)
    inputs = fetch_locked(wanted, cache, stage)
    built: dict[str, BuiltArtifact] = {}
    context = BuildContext(folder, release.epoch, release.version, lock, inputs, cache, stage, built, release.debian)
    for spec in described.artifacts:
        built[spec.name] = KINDS[spec.kind].build(spec, context)
    return list(built.values())


def _compiled(
    release: ReleaseFile, folder: Path, lock: ReleaseLock, cache: BuildCache, stage: Stage
) -> tuple[CompiledRecipe, ...]:
    """Recipes of everything compiled; those of ``lock`` that are still asked for are kept."""
    sdists = [(request, lock.find(request.key)) for request in requests_of(release, folder) if request.kind == "sdist"]
    inputs = fetch_locked(sdists, cache, stage) if sdists else {}
    context = BuildContext(folder, release.epoch, release.version, lock, inputs, cache, stage)
    return tuple(recipe for spec in release.artifacts for recipe in KINDS[spec.kind].recipes(spec, context))


def _changes(old: ReleaseLock, new: ReleaseLock) -> tuple[str, ...]:
    before = {key: item for item in old.inputs for key in item.keys}
    after = {key: item for item in new.inputs for key in item.keys}
    found = [f"added {key}" for key in sorted(after.keys() - before.keys())]
    found += [f"removed {key}" for key in sorted(before.keys() - after.keys())]
    found += [
        f"changed {key}" for key in sorted(after.keys() & before.keys()) if after[key].sha256 != before[key].sha256
    ]
    found += image_changes(old.images, new.images)
    found += _made_changes(old, new)
    compiled = {(item.artifact, item.name): item.sha256 for item in old.compiled}
    found += [
        f"compiled {item.name} {item.version}"
        for item in new.compiled
        if compiled.get((item.artifact, item.name)) != item.sha256
    ]
    return tuple(found)


def _made_changes(old: ReleaseLock, new: ReleaseLock) -> list[str]:
    """Programs that came out otherwise, and Debian packages by artifact."""
    programs = {item.name: item for item in old.programs}
    found = [
        f"compiled {item.name} {item.version} with {item.toolchain}"
        for item in new.programs
        if programs.get(item.name) != item
    ]
    before = {(item.artifact, package.name): package for item in old.packages for package in item.packages}
    after = {(item.artifact, package.name): package for item in new.packages for package in item.packages}
    for artifact, name in sorted(before.keys() | after.keys()):
        was, now = before.get((artifact, name)), after.get((artifact, name))
        if was != now:
            versions = [one.version if one else "nothing" for one in (was, now)]
            found.append(f"{artifact}: debian {name} from {versions[0]} to {versions[1]}")
    return found
