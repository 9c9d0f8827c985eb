"""The artifact kind `chart`: a Helm chart of the tree, or out of the Go module of what it installs.

Modules that are carried by `go.sum` need no second source for their charts, and chart and program are one version. The
chart lies in the bundle as one tar of the one spelling that the format has; whoever installs it packs that as Helm
wants it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from airgap_bundle.archive import Entry, write_tar
from airgap_bundle.build.artifact import BuiltArtifact, BuiltFile, Component
from airgap_bundle.build.cache import derivation_key
from airgap_bundle.build.golang.compilation import MODULE_ARCHIVE
from airgap_bundle.build.recipe.program_supply import ProgramSupply
from airgap_bundle.build.strict_zip import open_zip
from airgap_bundle.digest import sha256_stream
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airgap_bundle.build.artifact import BuildContext
    from airgap_bundle.build.cache import BuildCache, CachedFile
    from airgap_bundle.build.inputs import Request
    from airgap_bundle.made_artifacts import ChartArtifact

TITLE = "chart.tar"
CHART = "Chart.yaml"
OURS = "Apache-2.0"
DERIVATION = 1


def requests(spec: ChartArtifact, folder: Path) -> tuple[Request, ...]:  # noqa: ARG001 - one signature for all kinds
    """Programs are locked in a section of their own."""
    return ()


def programs(spec: ChartArtifact, folder: Path) -> tuple[str, ...]:  # noqa: ARG001 - one signature for all kinds
    """The wrapper module whose zip has the chart, where it is not of the tree."""
    return (spec.program,) if spec.program is not None else ()


def build(spec: ChartArtifact, context: BuildContext) -> BuiltArtifact:
    """The artifact. Raises ``BuildError`` when there is no chart in that folder."""
    if spec.source is not None:
        return _of_the_tree(spec, spec.source, context)
    assert spec.program is not None
    assert spec.folder is not None
    return _of_a_module(spec, spec.program, spec.folder, context)


def _of_the_tree(spec: ChartArtifact, source: str, context: BuildContext) -> BuiltArtifact:
    """As it lies in the tree, with what it shares with other charts among its templates."""
    files = _regular_files(context.folder / source)
    shared = _regular_files(context.folder / spec.library) if spec.library is not None else {}
    added = {f"templates/{path}": data for path, data in shared.items()}
    if both := sorted(files.keys() & added.keys()):
        raise BuildError(f"{source} has what its library has too: {', '.join(both)}")
    tar, facts = _pack(files | added, source, context.cache)
    return _artifact(spec, tar, facts, f"pkg:generic/{facts['name']}@{facts['version']}", OURS)


def _regular_files(home: Path) -> dict[str, bytes]:
    """Every file below ``home`` by path, hidden ones apart. Raises ``BuildError`` for links and special files."""
    found = {}
    for path in sorted(home.rglob("*")) if home.is_dir() else ():
        inner = path.relative_to(home)
        if any(part.startswith(".") for part in inner.parts) or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink() or not path.is_file():
            raise BuildError(f"{path}: a chart has regular files")
        found[inner.as_posix()] = path.read_bytes()
    return found


def _of_a_module(spec: ChartArtifact, program: str, folder: str, context: BuildContext) -> BuiltArtifact:
    """The tar is derived once per module."""
    supply = ProgramSupply(context.folder, context.lock, context.cache, context.stage)
    source, archive = supply.source(program), supply.file(program, MODULE_ARCHIVE)
    key = derivation_key("chart", module=archive.sha256, folder=folder, derivation=DERIVATION)
    found = context.cache.derived(key)
    if found is None:
        top = f"{source.module}@{source.version}/{folder}/"
        with open_zip(archive.path, source.module) as opened:
            named = [path for path, m in opened.members.items() if path.startswith(top) and not m.directory]
            files = {path.removeprefix(top): opened.read(path) for path in named}
        tar, facts = _pack(files, top.rstrip("/"), context.cache)
        found = context.cache.remember(key, {TITLE: tar}, facts)
    purl = f"pkg:golang/{source.module}@{source.version}#{folder}"
    return _artifact(spec, found.files[TITLE], found.facts, purl, source.settings.licence)


def _artifact(spec: ChartArtifact, tar: CachedFile, facts: Mapping[str, Any], purl: str, licence: str) -> BuiltArtifact:
    name, version = facts["name"], facts["version"]
    config = {"schema": 1, "name": name, "version": version, "file": TITLE}
    component = Component(f"{name}-chart", version, "application", purl, tar.sha256, licence)
    return BuiltArtifact(spec.kind, spec.name, version, config, (BuiltFile(TITLE, tar),), (component,))


def _pack(files: Mapping[str, bytes], where: str, cache: BuildCache) -> tuple[CachedFile, dict[str, str]]:
    """The tar in the cache, and what the chart calls itself."""
    if CHART not in files:
        raise BuildError(f"{where} is no chart: it has no {CHART}", "correct `folder` or `source`")
    told = yaml.safe_load(files[CHART])
    facts = {"name": str(told["name"]), "version": str(told["version"])}
    with cache.writer() as partial:
        write_tar(partial.stream, [Entry(f"{facts['name']}/{path}", data) for path, data in files.items()])
        partial.stream.flush()
        with partial.path.open("rb") as stream:
            digest, size = sha256_stream(stream)
        return partial.keep(digest.hex, size), facts
