"""The wheelhouse artifact: every wheel of a hash-locked list, the compiled ones and our own, and one new list.

On the site `uv pip install --no-index --find-links DIR --require-hashes -r requirements.txt` installs exactly these
files: the list names each package by version and by the digests of its wheels that lie beside it, one for every
interpreter served, or one for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airgap_bundle.build.artifact import BuiltArtifact, BuiltFile, Component
from airgap_bundle.build.inputs import Request
from airgap_bundle.build.native_wheel import compile_wheel, include_digests, locked_wheel
from airgap_bundle.build.own_project import project_version
from airgap_bundle.build.project_wheel import build_project_wheel
from airgap_bundle.build.python_packages import Target, file_identity, normal_name, read_requirements
from airgap_bundle.build.source_folder import folder_digest
from airgap_bundle.build.strict_zip import open_zip
from airgap_bundle.build.toolchain import this_toolchain
from airgap_bundle.build.wheel_metadata import glibc_needed, wheel_licence
from airgap_bundle.compiled_recipe import CompiledRecipe
from airgap_bundle.errors import LockError
from airgap_bundle.first_contact import program
from airgap_bundle.lock import ascending

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airgap_bundle.build.artifact import BuildContext
    from airgap_bundle.build.cache import CachedFile
    from airgap_bundle.build.python_packages import Requirement
    from airgap_bundle.release_file import CompiledWheel, WheelhouseArtifact

REQUIREMENTS = "requirements.txt"


def requests(spec: WheelhouseArtifact, folder: Path) -> tuple[Request, ...]:
    """A wheel per requirement and interpreter, an sdist for each that is compiled.

    Raises ``LockError`` for an unpinned list, and for one that asks an index for a project of ours.
    """
    listed = _listed(spec, folder)
    ours = {item.name for item in spec.compiled if item.project is not None} & listed.keys()
    if ours:
        raise LockError(f"{spec.requirements} asks an index for what is a project of ours: {', '.join(sorted(ours))}")
    compiled = {item.name for item in spec.compiled}
    targets = [Target(python, spec.machine, spec.glibc) for python in spec.python]
    wheels = [(item, target) for item in listed.values() if item.name not in compiled for target in targets]
    return (
        *dict.fromkeys(_sdist(spec, item, listed) for item in spec.compiled),
        *(Request(spec.name, "wheel", item.name, item.version, item.hashes, target) for item, target in wheels),
    )


def _listed(spec: WheelhouseArtifact, folder: Path) -> dict[str, Requirement]:
    """The requirements list by name."""
    path = folder / spec.requirements
    try:
        listed = read_requirements(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LockError(f"{path}: {str(error.strerror).lower()}", f"release.yaml names it for {spec.name}") from error
    return {item.name: item for item in listed}


def _sdist(spec: WheelhouseArtifact, item: CompiledWheel, listed: Mapping[str, Requirement]) -> Request:
    """The foreign sources of ``item``. Raises ``LockError`` where the list should pin them and does not."""
    if item.sources is not None:
        name, version = item.sources.package.split("==")
        return Request(spec.name, "sdist", name, version)
    if item.name not in listed:
        raise LockError(f"{spec.requirements} lacks what is to be compiled: {item.name}")
    found = listed[item.name]
    return Request(spec.name, "sdist", found.name, found.version, found.hashes)


def recipes(spec: WheelhouseArtifact, context: BuildContext) -> tuple[CompiledRecipe, ...]:
    """Recipes of a new lock, with their results.

    One that the lock has and release.yaml still asks for is kept; the others are compiled by this machine's toolchain.
    """
    listed, found = _listed(spec, context.folder), []
    for item in spec.compiled:
        request = _sdist(spec, item, listed)
        sdist = context.inputs[request.key]
        locked = next((r for r in context.lock.compiled if (r.artifact, r.name) == (spec.name, item.name)), None)
        if locked is not None and _is_asked(locked, item, sdist, context):
            found.append(locked)
            continue
        recipe = _recipe(spec, item, request.version, sdist, context)
        found.append(compile_wheel(recipe, sdist, context.folder, context.cache, context.stage))
    return tuple(found)


def _recipe(
    spec: WheelhouseArtifact, item: CompiledWheel, version: str, sdist: CachedFile, context: BuildContext
) -> CompiledRecipe:
    toolchain = this_toolchain()
    if toolchain.python not in spec.python:
        raise LockError(f"{item.name} is for python {' or '.join(spec.python)}, this is {toolchain.python}")
    project, digest, package, package_folder = _own(item, context.folder)
    return CompiledRecipe(
        artifact=spec.name,
        name=item.name,
        version=version if item.project is None else project_version(context.folder / project, item.name),
        sdist=sdist.sha256,
        cmake=item.cmake,
        project_include=item.project_include,
        include_sha256=include_digests(item.project_include, context.folder),
        wheel_exclude=item.wheel_exclude,
        python=toolchain.python,
        compiler=toolchain.compiler,
        linker=toolchain.linker,
        tools=toolchain.tools,
        source_date_epoch=context.epoch,
        project=project,
        project_sha256=digest,
        package=package,
        package_folder=package_folder,
    )


def _own(item: CompiledWheel, folder: Path) -> tuple[str, str, str, str]:
    """A project of ours as a recipe names it: its folder and digest, the package and the folder in it; else empty."""
    if item.project is None or item.sources is None:
        return "", "", "", ""
    return item.project, folder_digest(folder / item.project), item.sources.package, item.sources.folder


def build(spec: WheelhouseArtifact, context: BuildContext) -> BuiltArtifact:
    """The artifact. Its config says which interpreters it serves and which glibc the site must have."""
    wheels = _wheels(spec, context)
    listing = context.cache.add_bytes(_requirements(wheels).encode())
    components, floors = [], [spec.glibc]
    for file, wheel in sorted(wheels.items()):
        with open_zip(wheel.path, file) as archive:
            name, version = file_identity(file)
            purl = f"pkg:pypi/{name}@{version}?file_name={quote(file)}"
            components.append(Component(name, version, "library", purl, wheel.sha256, wheel_licence(archive)))
            if file in {item.file for item in context.lock.compiled}:
                floors.append(glibc_needed(archive))
    for carrier, carried in sorted(spec.embeds.items()):
        components += [
            Component(item.name, item.version, licence=item.licence, parent=normal_name(carrier)) for item in carried
        ]
    config = {
        "schema": 1,
        "name": spec.name,
        "requirements": REQUIREMENTS,
        "python": list(ascending(spec.python)),
        "machine": spec.machine,
        "glibc": max(floors, key=lambda text: [int(part) for part in text.split(".")]),
        "wheels": len(wheels),
        **_program(wheels),
    }
    files = [BuiltFile(file, wheel) for file, wheel in sorted(wheels.items())]
    files.append(BuiltFile(REQUIREMENTS, listing))
    return BuiltArtifact(spec.kind, spec.name, context.version, config, tuple(files), tuple(components))


def _requirements(wheels: Mapping[str, CachedFile]) -> str:
    """One line per package: its version, and the digest of every wheel of it that lies here."""
    digests: dict[tuple[str, str], list[str]] = {}
    for file, wheel in sorted(wheels.items()):
        digests.setdefault(file_identity(file), []).append(f" --hash=sha256:{wheel.sha256}")
    return "".join(f"{name}=={version}{''.join(found)}\n" for (name, version), found in sorted(digests.items()))


def _program(wheels: Mapping[str, CachedFile]) -> dict[str, Any]:
    """The config's ``uv``, for hosts that must check that program before they run anything else."""
    if not any(file_identity(file)[0] == "uv" for file in wheels):
        return {}
    name = program.wheel_name(wheels)
    with wheels[name].path.open("rb") as stream:
        return {"uv": program.measure(stream, name).to_json()}


def _wheels(spec: WheelhouseArtifact, context: BuildContext) -> dict[str, CachedFile]:
    """Every wheel by its file name."""
    listed, found = _listed(spec, context.folder), {}
    for item in spec.compiled:
        sdist = context.inputs[_sdist(spec, item, listed).key]
        recipe = context.lock.recipe(spec.name, item.name)
        if not _is_asked(recipe, item, sdist, context):
            raise LockError(
                f"release.yaml asks for another compilation of {recipe.name} than release.lock has",
                f"run `sovereign bundle lock --relock {recipe.name}`",
            )
        found[recipe.file] = locked_wheel(recipe, sdist, context.folder, context.cache, context.stage)
    for request in requests(spec, context.folder):
        if request.kind == "wheel":
            found[context.lock.find(request.key).file] = context.inputs[request.key]
    if spec.project is not None:
        with context.stage("build our own wheel", "steps") as advance:
            name, wheel = build_project_wheel((context.folder / spec.project).resolve(), context.epoch, context.cache)
            advance(1, 1)
        found[name] = wheel
    return found


def _is_asked(recipe: CompiledRecipe, asked: CompiledWheel, sdist: CachedFile, context: BuildContext) -> bool:
    """Whether ``recipe`` is what release.yaml asks for, of these sources, project and CMake files."""
    return (
        dict(recipe.cmake) == asked.cmake
        and dict(recipe.project_include) == asked.project_include
        and recipe.wheel_exclude == asked.wheel_exclude
        and recipe.sdist == sdist.sha256
        and (recipe.project, recipe.project_sha256, recipe.package, recipe.package_folder)
        == _own(asked, context.folder)
        and recipe.source_date_epoch == context.epoch
        and dict(recipe.include_sha256) == include_digests(asked.project_include, context.folder)
        and file_identity(recipe.file)[0] == asked.name
    )
