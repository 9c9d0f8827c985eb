"""The parts of a layer laid into a tree: packages, archives, wheels, modules, executables, files.

Each function says what it put there as components of the SBOM. Order is the caller's: later parts may replace earlier
ones only where the recipe itself speaks.
"""

from __future__ import annotations

import re
from email.parser import BytesHeaderParser
from typing import TYPE_CHECKING
from urllib.parse import quote

from airgap_bundle.build.artifact import Component
from airgap_bundle.build.rootfs.content import Data, Slice, Zipped
from airgap_bundle.build.rootfs.deb import open_deb
from airgap_bundle.build.rootfs.tar_tree import read_tar
from airgap_bundle.build.rootfs.tree import File, Folder, Link, Tree, merged
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from airgap_bundle.build.artifact import BuiltArtifact
    from airgap_bundle.build.cache import CachedFile
    from airgap_bundle.build.recipe.recipe_file import ModulePart
    from airgap_bundle.build.strict_zip import StrictZip
    from airgap_bundle.locked_packages import LockedPackage

EXECUTABLE = 0o755
# What no image runs: manuals, translations, and what helps at a prompt. Licences stay, as their owners ask.
UNUSED = (
    "usr/share/doc",
    "usr/share/doc-base",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/linda",
    "usr/share/bash-completion",
    "usr/share/bug",
    "usr/share/menu",
    "usr/share/pixmaps",
    "usr/share/applications",
)
LICENCES = ("usr/share/doc/*/copyright", "usr/share/common-licenses")
_DATA = re.compile(r"^(?P<stem>[^/]+)\.data/(?P<scheme>[a-z]+)/(?P<inner>.+)$")


def add_packages(
    tree: Tree, packages: Mapping[LockedPackage, CachedFile], suite: str, scratch: Path
) -> Iterator[Component]:
    """Lay down every package; what tools read to know that it is there goes to `/var/lib/dpkg/status.d`."""
    for package, file in sorted(packages.items()):
        deb = open_deb(file.path, package.file, scratch)
        named = (deb.fields["Package"], deb.fields["Version"], deb.fields["Architecture"])
        if named != (package.name, package.version, package.architecture):
            raise BuildError(f"{package.file} is {' '.join(named)}, and was locked as {package}")
        for path, node in deb.nodes():
            tree.add(merged(path), node, package.name)
        tree.put(f"var/lib/dpkg/status.d/{package.name}", File(Data(deb.control.encode())))
        yield package_component(package, suite)
    tree.merge_usr()
    tree.remove(UNUSED, LICENCES)


def package_component(package: LockedPackage, suite: str) -> Component:
    """A Debian package for the SBOM: `pkg:deb`, as the purl specification has it."""
    purl = f"pkg:deb/debian/{quote(package.name, safe='')}@{quote(package.version, safe='')}"
    purl += f"?arch={package.architecture}&distro={suite}"
    return Component(package.name, package.version, "library", purl, package.sha256)


def add_archive(tree: Tree, file: CachedFile, path: str, label: str) -> None:
    """Lay down a tar of another artifact below ``path``."""
    for inner, node in read_tar(file.path, label):
        tree.add(_below(path, inner), node, label)


def add_wheel(tree: Tree, archive: StrictZip, path: str, label: str) -> None:
    """Lay down what of a wheel an interpreter imports; scripts and data beside it are left out.

    The archive must stay open for as long as the tree is used.
    """
    for inner, member in archive.members.items():
        if member.directory:
            continue
        match = _DATA.match(inner)
        if match is not None and match["scheme"] not in {"purelib", "platlib"}:
            continue
        target = match["inner"] if match else inner
        tree.add(_below(path, target), File(Zipped(archive, member), _mode(member.executable)), label)


def wheel_component(archive: StrictZip, file: CachedFile, name: str, version: str) -> Component:
    """A wheel for the SBOM, with the licence that its metadata states in few words."""
    info = next((path for path in archive.members if path.endswith(".dist-info/METADATA")), None)
    licence = "" if info is None else BytesHeaderParser().parsebytes(archive.read(info)).get("License-Expression", "")
    return Component(name, version, "library", f"pkg:pypi/{name}@{version}", file.sha256, str(licence).strip())


def add_module(tree: Tree, archive: StrictZip, part: ModulePart, module: str, version: str) -> None:
    """Lay down files of a Go module's zip. Raises ``BuildError`` when the patterns match nothing."""
    top = f"{module}@{version}/{part.folder.strip('/')}/"
    found = Tree()
    for inner, member in archive.members.items():
        if inner.startswith(top) and not member.directory:
            found.add(inner.removeprefix(top), File(Zipped(archive, member), int(part.mode, 8)), module)
    chosen = Tree()
    chosen.nodes = dict(found.nodes)
    chosen.remove(part.only)
    taken = found.nodes.keys() - chosen.nodes.keys()
    if not taken:
        raise BuildError(f"{module} has nothing in {part.folder} that matches {', '.join(part.only)}")
    for inner in sorted(taken):
        tree.add(_below(part.path, inner), found.nodes[inner], module)


def add_program(tree: Tree, file: CachedFile, path: str) -> None:
    """Lay down an executable."""
    tree.put(_relative(path), File(Slice(file.path, 0, file.size), EXECUTABLE))


def add_folders(tree: Tree, folders: Iterable[tuple[str, str, int]]) -> None:
    """Folders with their mode (octal text) and owner."""
    for path, mode, owner in folders:
        tree.put(_relative(path), Folder(int(mode, 8), owner))


def add_links(tree: Tree, links: Mapping[str, str]) -> None:
    """Links by path."""
    for path, target in sorted(links.items()):
        tree.put(_relative(path), Link(target))


def artifact_file(artifacts: Mapping[str, BuiltArtifact], artifact: str, title: str) -> CachedFile:
    """A file of an artifact that was built before. Raises ``BuildError``."""
    found = artifacts.get(artifact)
    files = {item.title: item.file for item in found.files} if found else {}
    if title not in files:
        raise BuildError(f"no artifact {artifact} with a file {title} stands before this one in the release")
    return files[title]


def _relative(path: str) -> str:
    return path.strip("/")


def _below(path: str, inner: str) -> str:
    return f"{_relative(path)}/{inner}".lstrip("/")


def _mode(executable: bool) -> int:  # noqa: FBT001 - a member's own bit
    return EXECUTABLE if executable else 0o644
