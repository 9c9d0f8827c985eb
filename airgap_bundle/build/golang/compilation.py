"""Compiling a wrapper module's executables; what came out is remembered by what it was made of.

Modules come through Go's own client and are compared with `go.sum`, which is committed: `-mod=readonly` refuses
whatever the lists do not name. No path, time, version-control state or build id of the machine enters the bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from airgap_bundle.build.cache import derivation_key
from airgap_bundle.build.golang.go_client import PLATFORM, c_compiler, go_environment, go_program, go_version
from airgap_bundle.build.process import run
from airgap_bundle.errors import BuildError
from airgap_bundle.locked_program import LockedFile, LockedProgram

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airgap_bundle.build.cache import BuildCache, CachedFile
    from airgap_bundle.build.golang.program_file import Binary, ProgramSource
    from airgap_bundle.build.stage import Stage

DERIVATION = 1
MODULE_ARCHIVE = "module.zip"
_FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false")
_LINK = ("-s", "-w", "-buildid=")
_STATIC = ("-linkmode=external", "-extldflags=-static")


def compile_program(source: ProgramSource, cache: BuildCache, stage: Stage) -> LockedProgram:
    """The lock's entry for ``source``, compiled by this machine's Go or found in the cache."""
    compiler = c_compiler(source.settings.libraries) if source.settings.cgo else ""
    return _compiled(source, go_version(), compiler, cache, stage)


def program_files(
    source: ProgramSource, locked: LockedProgram, cache: BuildCache, stage: Stage
) -> Mapping[str, CachedFile]:
    """Files as ``locked`` (executables, the module's zip where it is carried), from the cache or compiled here.

    The toolchain is the one that the lock names.

    Raises ``BuildError`` when the folder is not what was locked, or when other bytes came out.
    """
    hint = f"run `sovereign bundle lock --relock {source.name}` and review the new digests"
    if (locked.sources, locked.version) != (source.digest, source.version):
        raise BuildError(f"go/{source.name} is not what was locked", hint)
    found = _cached(locked, cache)
    if found is not None:
        return found
    compiler = c_compiler(source.settings.libraries) if source.settings.cgo else ""
    if compiler != locked.compiler:
        raise BuildError(f"{source.name} is locked as compiled by {locked.compiler}, here is {compiler}", hint)
    made = _compiled(source, locked.toolchain, compiler, cache, stage)
    if made != locked:
        raise BuildError(f"{source.name} compiled to other bytes than the lock names", hint)
    found = _cached(locked, cache)
    if found is None:
        raise BuildError(f"the cached executables of {source.name} are damaged and were removed", "run it again")
    return found


def _cached(locked: LockedProgram, cache: BuildCache) -> Mapping[str, CachedFile] | None:
    """Every executable of ``locked``, hashed; None when one is missing."""
    found = {name: cache.verified(item.sha256, item.size) for name, item in sorted(locked.files.items())}
    whole = {name: file for name, file in found.items() if file is not None}
    return whole if len(whole) == len(found) else None


def _compiled(source: ProgramSource, toolchain: str, compiler: str, cache: BuildCache, stage: Stage) -> LockedProgram:
    key = derivation_key(
        "go program",
        sources=source.digest,
        toolchain=toolchain,
        compiler=compiler,
        platform=PLATFORM,
        flags=[*_FLAGS, *_LINK, *_STATIC],
        derivation=DERIVATION,
    )
    found = cache.derived(key)
    if found is None:
        with cache.workspace() as scratch:
            made = _build(source, toolchain, scratch, stage)
            found = cache.remember(key, {name: cache.add_file(path) for name, path in made.items()}, {})
    files = {name: LockedFile(file.sha256, file.size) for name, file in found.files.items()}
    return LockedProgram(source.name, source.module, source.version, toolchain, compiler, source.digest, files)


def _build(source: ProgramSource, toolchain: str, scratch: Path, stage: Stage) -> dict[str, Path]:
    """Compile every executable of ``source`` into ``scratch``."""
    environment = go_environment(toolchain, cgo=source.settings.cgo) | {"TMPDIR": str(scratch)}
    made: dict[str, Path] = {}
    total = len(source.settings.binaries)
    with stage(f"compile {source.name} {source.version}", "steps") as advance:
        for done, (name, binary) in enumerate(sorted(source.settings.binaries.items())):
            advance(done, total)
            made[name] = scratch / name
            run(_arguments(source, binary, made[name]), cwd=source.folder, env=environment)
        advance(total, total)
    if source.settings.carries_module:
        made[MODULE_ARCHIVE] = _module_archive(source, environment)
    return made


def _module_archive(source: ProgramSource, environment: Mapping[str, str]) -> Path:
    """The wrapped module's zip as Go keeps it; Go has compared it with `go.sum`."""
    said = run([go_program(), "mod", "download", "-json", source.module], cwd=source.folder, env=environment)
    try:
        return Path(json.loads(said)["Zip"])
    except (ValueError, KeyError) as error:
        raise BuildError(f"go keeps no archive of {source.module}") from error


def _arguments(source: ProgramSource, binary: Binary, out: Path) -> list[str]:
    settings = source.settings
    named = {"version": source.version, "number": source.version.removeprefix("v")}
    variables = [f"-X={name}={value.format(**named)}" for name, value in sorted(settings.variables.items())]
    link = " ".join([*_LINK, *variables, *(_STATIC if settings.cgo else ())])
    tags = ",".join([*settings.tags, *binary.tags])
    argv = [go_program(), "build", *_FLAGS, f"-ldflags={link}", f"-tags={tags}"]
    return [*argv, "-o", str(out), binary.package]
