"""Recipes in `release.lock`: how each wheel that no index offers was compiled, and what came out.

Standard library only, as the lock is (see `airgap_bundle.lock`).
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from airgap_bundle.errors import FormatError
from airgap_bundle.names import check_name, check_path

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEX = re.compile(r"[0-9a-f]{64}")
_PACKAGE = re.compile(r"([a-z0-9][a-z0-9-]*)==([0-9A-Za-z.+!-]+)")
_OWN = ("project", "project_sha256", "package", "package_folder")  # absent where the package's own sdist is compiled


@dataclass(frozen=True)
class CompiledRecipe:
    """How a wheel was compiled and what came out. Equal recipes give equal bytes; ``sha256`` says which.

    ``sdist`` is the digest of the foreign sources: the package's own, or, where ``project`` names a folder of ours with
    the digest ``project_sha256``, those of ``package`` ("name==version"), whose ``package_folder`` is compiled.
    """

    artifact: str
    name: str
    version: str
    sdist: str
    cmake: Mapping[str, str]
    project_include: Mapping[str, str]
    include_sha256: Mapping[str, str]
    wheel_exclude: tuple[str, ...]
    python: str
    compiler: str
    linker: str
    tools: Mapping[str, str]
    source_date_epoch: int
    file: str = ""
    sha256: str = ""
    size: int = 0
    project: str = ""
    project_sha256: str = ""
    package: str = ""
    package_folder: str = ""

    @property
    def source(self) -> tuple[str, str]:
        """Name and version of the package whose sdist is compiled."""
        found = _PACKAGE.fullmatch(self.package)
        return (self.name, self.version) if found is None else (found[1], found[2])

    def to_json(self) -> dict[str, Any]:
        """As the lock says it."""
        return {name: value for name, value in asdict(self).items() if name not in _OWN or self.project}


def parse_recipes(value: list[object]) -> tuple[CompiledRecipe, ...]:
    """The lock's recipes. Raises ``FormatError`` or ``UnsafeNameError``."""
    return tuple(_parse(item) for item in value)


def _parse(value: object) -> CompiledRecipe:
    names = {item.name for item in fields(CompiledRecipe)}
    if not isinstance(value, dict) or set(value) not in (names, names - set(_OWN)):
        raise FormatError(f"a recipe in the lock has other fields than {', '.join(sorted(names))}")
    texts = ("artifact", "name", "version", "file", "sha256", "sdist", "python", "compiler", "linker")
    own = _OWN if "project" in value else ()
    tables = ("cmake", "project_include", "include_sha256", "tools")
    exclude = value["wheel_exclude"]
    right = (
        all(isinstance(value[name], str) for name in (*texts, *own))
        and all(isinstance(value[name], dict) for name in tables)
        and all(isinstance(item, str) for name in tables for item in value[name].values())
        and isinstance(exclude, list)
        and all(isinstance(item, str) for item in exclude)
        and type(value["source_date_epoch"]) is int
    )
    if not right:
        raise FormatError(f"the recipe of {value['name']} has fields of the wrong type")
    if not _HEX.fullmatch(value["sha256"]) or type(value["size"]) is not int or value["size"] < 0:
        raise FormatError(f"the recipe of {value['name']} has no sha256 or no size")
    check_name(value["file"])
    if own:
        _check_own(value)
    return CompiledRecipe(**value | {"wheel_exclude": tuple(exclude)})


def _check_own(value: Mapping[str, str]) -> None:
    check_path(value["package_folder"])
    if not _HEX.fullmatch(value["project_sha256"]) or not _PACKAGE.fullmatch(value["package"]):
        raise FormatError(f"the recipe of {value['name']} has no digest of its project, or no package")
