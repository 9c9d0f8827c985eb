"""The artifact kind `host-programs`: executables that cluster hosts run outside containers, one blob each.

One blob per executable, so that a release's delta carries those that changed. The config says where each belongs and
which names are links to it; whoever lays them down on a host goes by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle.build.artifact import BuiltArtifact, BuiltFile
from airgap_bundle.build.recipe.program_supply import ProgramSupply

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.build.artifact import BuildContext
    from airgap_bundle.build.inputs import Request
    from airgap_bundle.made_artifacts import HostProgramsArtifact


def requests(spec: HostProgramsArtifact, folder: Path) -> tuple[Request, ...]:  # noqa: ARG001 - one signature for all
    """Programs are locked in a section of their own."""
    return ()


def programs(spec: HostProgramsArtifact, folder: Path) -> tuple[str, ...]:  # noqa: ARG001 - one signature for all kinds
    """Names of the wrapper modules."""
    return tuple(sorted({item.program for item in spec.files}))


def build(spec: HostProgramsArtifact, context: BuildContext) -> BuiltArtifact:
    """The artifact; its version is the release's."""
    supply = ProgramSupply(context.folder, context.lock, context.cache, context.stage)
    files = [BuiltFile(item.binary, supply.file(item.program, item.binary)) for item in spec.files]
    config = {
        "schema": 1,
        "name": spec.name,
        "platform": spec.platform,
        "files": {item.binary: {"path": item.path, "mode": "0755"} for item in spec.files},
        "links": dict(sorted(spec.links.items())),
        "versions": {name: context.lock.program(name).version for name in programs(spec, context.folder)},
    }
    components = {
        component
        for name in programs(spec, context.folder)
        for component in supply.components(name, {item.binary for item in spec.files if item.program == name})
    }
    return BuiltArtifact(spec.kind, spec.name, context.version, config, tuple(files), tuple(sorted(components)))
