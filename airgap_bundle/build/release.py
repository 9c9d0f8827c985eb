"""`bundle lock` and `bundle build`: from a release description to a lock, and from both to an unsigned layout."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airgap_bundle.build.artifact import BuildContext
from airgap_bundle.build.fetch import fetch_locked, resolve
from airgap_bundle.build.image_lock import image_changes, images_of, lock_images
from airgap_bundle.build.kinds import KINDS
from airgap_bundle.build.layout_writer import LayoutPlan, check_folder, write_layout
from airgap_bundle.build.sbom import artifact_sbom, release_sbom
from airgap_bundle.digest import sha256
from airgap_bundle.errors import BuildError, LockError
from airgap_bundle.lock import ReleaseLock, dump_lock, load_lock, merged
from airgap_bundle.release_file import load_release

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from airgap_bundle.build.cache import BuildCache
    from airgap_bundle.build.inputs import Request
    from airgap_bundle.build.stage import Stage
    from airgap_bundle.lock import CompiledRecipe
    from airgap_bundle.release_file import ReleaseFile

LOCK_NAME = "release.lock"


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


def lock_path(release_path: Path) -> Path:
    """Where the lock lies unless somebody names another: beside the release file."""
    return release_path.with_name(LOCK_NAME)


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
    release, folder = load_release(release_path), release_path.parent
    old = load_lock(path) if path.exists() else ReleaseLock(release.name, release.version)
    wanted = requests_of(release, folder)
    images = images_of(release)
    unknown = set(relock) - {request.name for request in wanted} - {spec.name for spec in images}
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
    lock = replace(lock, images=locked_images)
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
        return _build(release_path, load_lock(lock or lock_path(release_path)), dest, cache, stage)


def _build(release_path: Path, lock: ReleaseLock, dest: Path, cache: BuildCache, stage: Stage) -> BuiltBundle:
    release, folder = load_release(release_path), release_path.parent
    check_folder(dest)
    if (lock.name, lock.version) != (release.name, release.version):
        raise LockError(
            f"release.lock is of {lock.name} {lock.version}, release.yaml is {release.name} {release.version}",
            "run `sovereign bundle lock`",
        )
    wanted = [(request, lock.find(request.key)) for request in requests_of(release, folder)]
    for request, locked in wanted:
        request.pinned(locked)
    inputs = fetch_locked(wanted, cache, stage)
    context = BuildContext(folder, release.epoch, release.version, lock, inputs, cache, stage)
    built = [KINDS[spec.kind].build(spec, context) for spec in release.artifacts]
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


def requests_of(release: ReleaseFile, folder: Path) -> list[Request]:
    """Every input that ``release`` asks for; ``folder`` is where release.yaml lies."""
    return [request for spec in release.artifacts for request in KINDS[spec.kind].requests(spec, folder)]


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
    compiled = {(item.artifact, item.name): item.sha256 for item in old.compiled}
    found += [
        f"compiled {item.name} {item.version}"
        for item in new.compiled
        if compiled.get((item.artifact, item.name)) != item.sha256
    ]
    return tuple(found)
