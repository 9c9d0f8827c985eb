"""Which modules an executable was made of, as it says itself: for the SBOM."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airgap_bundle.build.artifact import Component
from airgap_bundle.build.cache import derivation_key
from airgap_bundle.build.golang.compilation import MODULE_ARCHIVE
from airgap_bundle.build.golang.go_client import go_program
from airgap_bundle.build.process import run
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airgap_bundle.build.cache import BuildCache, CachedFile
    from airgap_bundle.locked_program import LockedProgram

DERIVATION = 1


def program_components(
    locked: LockedProgram, binaries: Mapping[str, CachedFile], licence: str, cache: BuildCache
) -> tuple[Component, ...]:
    """The program itself, its executables by digest, and every module that is linked into them, each once."""
    purl = f"pkg:golang/{_path(locked.module)}@{quote(locked.version, safe='')}"
    found = {Component(locked.module, locked.version, "application", purl, "", licence)}
    found |= {Component("stdlib", locked.toolchain, purl=f"pkg:golang/stdlib@{locked.toolchain.removeprefix('go')}")}
    for name, file in sorted(binaries.items()):
        if name == MODULE_ARCHIVE:
            continue
        found.add(Component(name, locked.version, "file", "", file.sha256))
        found.update(item for item in _modules(file, cache) if item.name != locked.module)
    return tuple(sorted(found))


def _modules(file: CachedFile, cache: BuildCache) -> Iterator[Component]:
    key = derivation_key("go modules", binary=file.sha256, derivation=DERIVATION)
    found = cache.derived(key)
    if found is None:
        found = cache.remember(key, {}, {"modules": _ask(file)})
    for module in found.facts["modules"]:
        purl = f"pkg:golang/{_path(module['path'])}@{quote(module['version'], safe='')}"
        sums = (("sovereign:go:sum", module["sum"]),) if module["sum"] else ()
        yield Component(module["path"], module["version"], purl=purl, properties=sums)


def _ask(file: CachedFile) -> list[dict[str, str]]:
    """What `go version -m` reads from the executable; a replaced module counts as what replaces it."""
    said = run([go_program(), "version", "-m", "-json", str(file.path)])
    try:
        value: dict[str, Any] = json.loads(said)
        listed = [item.get("Replace") or item for item in value.get("Deps") or ()]
        return [
            {"path": item["Path"], "version": item.get("Version", ""), "sum": item.get("Sum", "")} for item in listed
        ]
    except (ValueError, KeyError, AttributeError) as error:
        raise BuildError(f"{file.path.name} does not say which modules it is made of") from error


def _path(module: str) -> str:
    return "/".join(quote(part, safe="") for part in module.split("/"))
