"""Compiling a wheel from a locked sdist, or from a project of ours with a part of one, once per recipe, reproducibly.

    python -m airgap_bundle.build.native_wheel (--out DIR | --install-into PYTHON) [--lock sources/release.lock]

compiles every recipe of the lock (or takes it from the cache) and puts the wheels into DIR, or installs them into the
environment of the interpreter PYTHON. It needs the standard
library and requirements/build.txt only, because a development environment is installed with its result.

Same recipe, same bytes: the sources' and the build's folder are mapped out of the objects by the recipe's CMake file,
dates come from SOURCE_DATE_EPOCH, and the compiler, linker and tools are part of the recipe.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from airgap_bundle.build.cache import BuildCache, derivation_key
from airgap_bundle.build.fetch import fetch_locked
from airgap_bundle.build.inputs import Request
from airgap_bundle.build.own_project import SOURCES, lay_out
from airgap_bundle.build.process import run
from airgap_bundle.build.stage import printed
from airgap_bundle.build.toolchain import CUDA_COMPILER, Toolchain, build_environment, this_toolchain
from airgap_bundle.digest import sha256
from airgap_bundle.errors import BuildError, BundleError
from airgap_bundle.lock import load_lock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airgap_bundle.build.cache import CachedFile
    from airgap_bundle.build.stage import Stage
    from airgap_bundle.compiled_recipe import CompiledRecipe
    from airgap_bundle.lock import ReleaseLock

_CUDA = "GGML_CUDA"  # of a recipe with code for GPUs
_OFF = {"", "0", "OFF", "FALSE", "NO"}  # for CMake
_NINJA_STEP = re.compile(r"^\s*\[(\d+)/(\d+)\]")


def with_toolchain(recipe: CompiledRecipe, toolchain: Toolchain) -> CompiledRecipe:
    """``recipe`` as this toolchain would carry it out; its result is not known yet."""
    cuda = {CUDA_COMPILER: toolchain.cuda} if recipe.cmake.get(_CUDA, "").upper() not in _OFF else {}
    return replace(
        recipe,
        python=toolchain.python,
        compiler=toolchain.compiler,
        linker=toolchain.linker,
        tools={**toolchain.tools, **cuda},
        file="",
        sha256="",
        size=0,
    )


def is_own_toolchain(recipe: CompiledRecipe, toolchain: Toolchain) -> bool:
    """Whether ``toolchain`` is the one of ``recipe``, so that the same bytes must come out.

    The interpreter that drives the compilation is recorded for people; it does not shape the bytes.
    """
    return with_toolchain(recipe, toolchain) == replace(recipe, python=toolchain.python, file="", sha256="", size=0)


def not_ours(lock: ReleaseLock, cache: BuildCache) -> tuple[str, ...]:
    """Compiled packages of ``lock`` that this machine can neither take from the cache nor compile to the same bytes."""
    toolchain = this_toolchain()
    return tuple(
        recipe.name
        for recipe in lock.compiled
        if not is_own_toolchain(recipe, toolchain) and cache.verified(recipe.sha256, recipe.size) is None
    )


def locked_wheel(
    recipe: CompiledRecipe, sdist: CachedFile, folder: Path, cache: BuildCache, stage: Stage
) -> CachedFile:
    """The wheel that ``recipe`` of the lock gives, compiled here unless the cache has it.

    Raises ``BuildError`` when it is not in the cache and this machine's toolchain is another one, and when the same
    toolchain gave other bytes.
    """
    cached = cache.verified(recipe.sha256, recipe.size)
    if cached is not None:
        return cached
    toolchain = this_toolchain()
    hint = f"use that toolchain, or run `sovereign bundle lock --relock {recipe.name}` and review the new digest"
    if not is_own_toolchain(recipe, toolchain):
        theirs, here = (_named(one) for one in (recipe, with_toolchain(recipe, toolchain)))
        raise BuildError(f"{recipe.name} is locked as compiled by {theirs}, here is {here}", hint)
    result = compile_wheel(with_toolchain(recipe, toolchain), sdist, folder, cache, stage)
    if result.sha256 != recipe.sha256:
        cache.forget(result.sha256)
        raise BuildError(f"{recipe.name} compiled to {result.sha256}, the lock says {recipe.sha256}", hint)
    return cache_file(cache, result)


def compile_wheel(
    recipe: CompiledRecipe, sdist: CachedFile, folder: Path, cache: BuildCache, stage: Stage
) -> CompiledRecipe:
    """Carry ``recipe`` out, or find its result in the cache; the value is the recipe with file, digest and size.

    ``folder`` is where release.yaml lies; the CMake files of the recipe are relative to it.
    """
    key = derivation_key("native wheel", **_shape(recipe))
    found = cache.derived(key)
    if found is None:
        with cache.workspace() as scratch:
            wheel = _compile(recipe, sdist, folder, scratch, stage)
            found = cache.remember(key, {wheel.name: cache.add_file(wheel)}, {})
    ((file, kept),) = found.files.items()
    return replace(recipe, file=file, sha256=kept.sha256, size=kept.size)


def cache_file(cache: BuildCache, recipe: CompiledRecipe) -> CachedFile:
    """The cached wheel of a carried-out recipe. Raises ``BuildError`` when it is damaged."""
    found = cache.verified(recipe.sha256, recipe.size)
    if found is None:
        raise BuildError(f"the cached wheel of {recipe.name} is damaged and was removed", "run the command again")
    return found


def include_digests(project_include: dict[str, str], folder: Path) -> dict[str, str]:
    """Digest of every CMake file that is read into a project, by project."""
    return {project: sha256((folder / file).read_bytes()).hex for project, file in sorted(project_include.items())}


def _shape(recipe: CompiledRecipe) -> dict[str, object]:
    """What shapes the bytes: all of the recipe but its result, its artifact, Python, and where files of ours lie."""
    return {
        name: value
        for name, value in recipe.to_json().items()
        if name not in {"artifact", "project_include", "project", "python", "file", "sha256", "size"}
    }


def _named(recipe: CompiledRecipe) -> str:
    """Its compilers."""
    cuda = recipe.tools.get(CUDA_COMPILER)
    return recipe.compiler if cuda is None else f"{recipe.compiler}; {cuda or f'no {CUDA_COMPILER}'}"


def _compile(recipe: CompiledRecipe, sdist: CachedFile, folder: Path, scratch: Path, stage: Stage) -> Path:
    if include_digests(dict(recipe.project_include), folder) != dict(recipe.include_sha256):
        raise BuildError(
            f"the CMake files for {recipe.name} are not those of the lock",
            f"run `sovereign bundle lock --relock {recipe.name}`",
        )
    if recipe.tools.get(CUDA_COMPILER) == "":
        hint = "put CUDA's toolkit on the PATH (docs/guides/engine-builds.md)"
        raise BuildError(f"{recipe.name} has code for GPUs, and this machine has no {CUDA_COMPILER}", hint)
    options = _cmake_arguments(recipe, folder)
    if recipe.project:
        source, foreign = lay_out(recipe, sdist.path, folder, scratch)
        options.append(f"-D{SOURCES}={foreign}")
    else:
        source = scratch / f"{recipe.name.replace('-', '_')}-{recipe.version}.tar.gz"
        shutil.copyfile(sdist.path, source)
    out = scratch / "out"
    argv = [sys.executable, "-m", "pip", "wheel", "--verbose", "--no-deps", "--no-index", "--no-cache-dir"]
    argv += ["--no-build-isolation", "--disable-pip-version-check", f"--wheel-dir={out}", str(source)]
    if recipe.wheel_exclude:
        argv.append(f"--config-settings=wheel.exclude={';'.join(recipe.wheel_exclude)}")
    environment = build_environment(recipe.source_date_epoch) | {
        "CMAKE_ARGS": shlex.join(options),
        "CMAKE_BUILD_PARALLEL_LEVEL": str(len(os.sched_getaffinity(0))),
        "TMPDIR": str(scratch),
    }
    with stage(f"compile {recipe.name} {recipe.version}", "steps") as advance:

        def hear(line: str) -> None:
            if match := _NINJA_STEP.match(line):
                advance(int(match[1]), int(match[2]))

        run(argv, env=environment, on_line=hear)
    wheels = sorted(out.glob("*.whl"))
    if len(wheels) != 1:
        raise BuildError(f"compiling {recipe.name} gave {len(wheels)} wheels")
    return wheels[0]


def _cmake_arguments(recipe: CompiledRecipe, folder: Path) -> list[str]:
    defined = [f"-D{name}={value}" for name, value in sorted(recipe.cmake.items())]
    included = [
        f"-DCMAKE_PROJECT_{project}_INCLUDE={(folder / file).resolve()}"
        for project, file in sorted(recipe.project_include.items())
    ]
    return defined + included


def build_for_development(lock_path: Path, out: Path, cache: BuildCache, stage: Stage) -> list[Path]:
    """Every compiled wheel of the lock in ``out``, made by this machine's toolchain, whichever that is.

    Where the toolchain is the lock's, the bytes must be the lock's. Another toolchain's wheel is fit for development
    only: `bundle build` would refuse it.
    """
    lock, toolchain = load_lock(lock_path), this_toolchain()
    out.mkdir(parents=True, exist_ok=True)
    made = []
    for recipe in lock.compiled:
        request = Request(recipe.artifact, "sdist", *recipe.source)
        sdist = fetch_locked([(request, lock.find(request.key))], cache, stage)[request.key]
        if is_own_toolchain(recipe, toolchain):
            wheel = locked_wheel(recipe, sdist, lock_path.parent, cache, stage)
            name = recipe.file
        else:
            result = compile_wheel(with_toolchain(recipe, toolchain), sdist, lock_path.parent, cache, stage)
            wheel, name = cache_file(cache, result), result.file
        made.append(out / name)
        shutil.copyfile(wheel.path, made[-1])
    return made


def main(arguments: Sequence[str]) -> int:
    """Command line of the module's docstring; the wheels' paths go to stdout."""
    parser = argparse.ArgumentParser(prog="python -m airgap_bundle.build.native_wheel")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, help="folder that receives the wheels")
    where.add_argument("--install-into", metavar="PYTHON", help="interpreter whose environment receives the wheels")
    parser.add_argument("--lock", type=Path, default=Path("sources/release.lock"), help="the lock with the recipes")
    given = parser.parse_args(arguments)
    cache = BuildCache.default()
    try:
        with cache.workspace() as scratch:
            made = build_for_development(given.lock, given.out or scratch, cache, printed)
            if given.install_into:
                pip = [given.install_into, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
                run([*pip, "--disable-pip-version-check", "--force-reinstall", *map(str, made)])
    except BundleError as error:
        sys.stderr.write(f"error: {error.cause}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        return 2
    if given.out:
        sys.stdout.write("".join(f"{path}\n" for path in made))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
