"""Programs of a release as recipes ask for them: compiled once each, whoever asks first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle.build.golang.compilation import compile_program, program_files
from airgap_bundle.build.golang.module_list import program_components
from airgap_bundle.build.golang.program_file import load_program
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from airgap_bundle.build.artifact import Component
    from airgap_bundle.build.cache import BuildCache, CachedFile
    from airgap_bundle.build.golang.program_file import ProgramSource
    from airgap_bundle.build.stage import Stage
    from airgap_bundle.lock import ReleaseLock
    from airgap_bundle.locked_program import LockedProgram


def lock_programs(
    names: Iterable[str], folder: Path, kept: Mapping[str, LockedProgram], cache: BuildCache, stage: Stage
) -> tuple[LockedProgram, ...]:
    """Entries for ``names``: one of ``kept``, by name, stays where the wrapper's folder is what it was."""
    found = []
    for name in sorted(set(names)):
        source = load_program(folder, name)
        before = kept.get(name)
        same = before is not None and (before.sources, before.version) == (source.digest, source.version)
        found.append(before if before is not None and same else compile_program(source, cache, stage))
    return tuple(found)


class ProgramSupply:
    """Files of the programs that ``lock`` names, whose folders lie below ``folder``."""

    def __init__(self, folder: Path, lock: ReleaseLock, cache: BuildCache, stage: Stage) -> None:
        self._folder = folder
        self._lock = lock
        self._cache = cache
        self._stage = stage
        self._sources: dict[str, ProgramSource] = {}
        self._files: dict[str, Mapping[str, CachedFile]] = {}

    def source(self, program: str) -> ProgramSource:
        """The wrapper module ``program``."""
        if program not in self._sources:
            self._sources[program] = load_program(self._folder, program)
        return self._sources[program]

    def digest(self, program: str, file: str) -> str:
        """Digest (hex) of a file, as locked. Raises ``BuildError`` when the program has no such file."""
        locked = self._lock.program(program)
        if file not in locked.files:
            raise BuildError(f"go/{program} has no {file}: it has {', '.join(sorted(locked.files))}")
        return locked.files[file].sha256

    def file(self, program: str, file: str) -> CachedFile:
        """A file of ``program``, compiled if need be."""
        self.digest(program, file)
        return self._all(program)[file]

    def components(self, program: str, files: Iterable[str]) -> tuple[Component, ...]:
        """What ``files`` of the program are made of."""
        chosen = {name: self.file(program, name) for name in sorted(files)}
        licence = self.source(program).settings.licence
        return program_components(self._lock.program(program), chosen, licence, self._cache)

    def _all(self, program: str) -> Mapping[str, CachedFile]:
        if program not in self._files:
            locked = self._lock.program(program)
            self._files[program] = program_files(self.source(program), locked, self._cache, self._stage)
        return self._files[program]
