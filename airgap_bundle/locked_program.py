"""Go programs in `release.lock`: what they were compiled from, by which toolchain, and what came out.

The module set is locked by one digest over the wrapper module's folder: its `go.sum` names every module by hash, so
that equal folders are equal sources all the way down. Standard library only, as the lock is (see `airgap_bundle.lock`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from airgap_bundle.errors import FormatError
from airgap_bundle.names import check_name

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEX = re.compile(r"[0-9a-f]{64}")
_TOOLCHAIN = re.compile(r"go1\.[0-9]{1,3}(\.[0-9]{1,3}|rc[0-9]{1,2})?")


@dataclass(frozen=True, order=True)
class LockedFile:
    """One executable that a program's sources gave, or the archive of those sources."""

    sha256: str
    size: int


@dataclass(frozen=True)
class LockedProgram:
    """One wrapper module below `go/`, compiled.

    ``module`` and ``version`` are those of what it wraps; ``toolchain`` is Go's own version; ``compiler`` says which C
    compiler and libraries took part, empty where none did; ``sources`` is the digest of the wrapper's folder. ``files``
    are the executables, and ``module.zip`` where the wrapped module's own files are needed too.
    """

    name: str
    module: str
    version: str
    toolchain: str
    compiler: str
    sources: str
    files: Mapping[str, LockedFile]


def parse_programs(value: list[object]) -> tuple[LockedProgram, ...]:
    """The lock's programs. Raises ``FormatError``, also when one is there twice."""
    found = tuple(_parse(item) for item in value)
    if len({item.name for item in found}) != len(found):
        raise FormatError("a program is locked twice")
    return found


def _parse(value: object) -> LockedProgram:
    names = sorted(item.name for item in fields(LockedProgram))
    if not isinstance(value, dict) or sorted(value) != names:
        raise FormatError(f"a program in the lock has other fields than {', '.join(names)}")
    for name in ("name", "module", "version", "toolchain", "compiler", "sources"):
        if not isinstance(value[name], str):
            raise FormatError(f"{name} of a locked program is no text")
    check_name(value["name"])
    if not _HEX.fullmatch(value["sources"]) or not _TOOLCHAIN.fullmatch(value["toolchain"]):
        raise FormatError(f"locked program {value['name']} has no digest of its sources, or no toolchain")
    files = value["files"]
    if not isinstance(files, dict) or not files:
        raise FormatError(f"locked program {value['name']} has no files")
    return LockedProgram(**value | {"files": {check_name(name): _file(item) for name, item in files.items()}})


def _file(value: object) -> LockedFile:
    if not isinstance(value, dict) or sorted(value) != ["sha256", "size"]:
        raise FormatError("a file of a locked program has other fields than sha256, size")
    digest, size = value["sha256"], value["size"]
    if not isinstance(digest, str) or not _HEX.fullmatch(digest) or type(size) is not int or size < 1:
        raise FormatError("a file of a locked program has no sha256 or no size")
    return LockedFile(digest, size)
