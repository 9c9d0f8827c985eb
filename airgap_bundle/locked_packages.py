"""Debian packages in `release.lock`: for each artifact that asks for some, the whole closure by digest.

Names, versions and digests; never an address: where a builder's apt fetches from is that builder's own setting.
Standard library only, as the lock is (see `airgap_bundle.lock`).
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from airgap_bundle.errors import FormatError
from airgap_bundle.names import check_name

_HEX = re.compile(r"[0-9a-f]{64}")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_VERSION = re.compile(r"([0-9]+:)?[A-Za-z0-9][A-Za-z0-9.+~-]*")
_SUITE = re.compile(r"[a-z][a-z0-9-]*")
_Record = TypeVar("_Record", "LockedPackage", "PackageSet")


@dataclass(frozen=True, order=True)
class LockedPackage:
    """One binary package; ``file`` is its name in the archive, ``size`` in bytes."""

    name: str
    version: str
    architecture: str
    file: str
    sha256: str
    size: int

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class PackageSet:
    """What ``artifact`` asked for and the closure that it was given, by name.

    ``asked`` are package names, ``without`` those left out of the closure; both sorted.
    """

    artifact: str
    suite: str
    asked: tuple[str, ...]
    without: tuple[str, ...]
    packages: tuple[LockedPackage, ...]

    @property
    def question(self) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
        """What was to be resolved."""
        return self.artifact, self.suite, self.asked, self.without


def dump_sets(sets: tuple[PackageSet, ...]) -> str:
    """JSON with one line per package, indented as the lock has it."""
    return ",\n".join(_dump(item) for item in sorted(sets, key=lambda item: item.artifact))


def _dump(item: PackageSet) -> str:
    head = {"artifact": item.artifact, "suite": item.suite, "asked": item.asked, "without": item.without}
    lines = "".join(f'      "{key}": {json.dumps(value)},\n' for key, value in head.items())
    packages = ",\n".join("        " + json.dumps(asdict(package)) for package in sorted(item.packages))
    return f'    {{\n{lines}      "packages": [\n{packages}\n      ]\n    }}'


def parse_sets(value: list[object]) -> tuple[PackageSet, ...]:
    """The lock's package sets. Raises ``FormatError``, also when an artifact has two, or a set a package twice."""
    found = tuple(_set(item) for item in value)
    if len({item.artifact for item in found}) != len(found):
        raise FormatError("the packages of an artifact are locked twice")
    return found


def _set(value: object) -> PackageSet:
    entry = _fields(value, PackageSet)
    for name in ("asked", "without", "packages"):
        if not isinstance(entry[name], list):
            raise FormatError(f"{name} of locked packages is no list")
    for name in (*entry["asked"], *entry["without"]):
        _matches(name, _PACKAGE, "a package's name")
    _matches(entry["suite"], _SUITE, "a suite")
    packages = tuple(_package(item) for item in entry["packages"])
    if len({item.name for item in packages}) != len(packages) or not packages:
        raise FormatError(f"the locked packages of {entry['artifact']} are none, or one is there twice")
    return PackageSet(
        check_name(str(entry["artifact"])),
        entry["suite"],
        tuple(sorted(entry["asked"])),
        tuple(sorted(entry["without"])),
        packages,
    )


def _package(value: object) -> LockedPackage:
    entry = _fields(value, LockedPackage)
    _matches(entry["name"], _PACKAGE, "a package's name")
    _matches(entry["version"], _VERSION, "a package's version")
    _matches(entry["architecture"], re.compile("amd64|all"), "an architecture")
    _matches(entry["sha256"], _HEX, "a sha256")
    if type(entry["size"]) is not int or entry["size"] < 1:
        raise FormatError(f"locked package {entry['name']} has no size")
    check_name(str(entry["file"]))
    return LockedPackage(**entry)


def _fields(value: object, cls: type[_Record]) -> dict[str, Any]:
    names = sorted(item.name for item in fields(cls))
    if not isinstance(value, dict) or sorted(value) != names:
        raise FormatError(f"locked packages have other fields than {', '.join(names)}")
    return value


def _matches(value: object, pattern: re.Pattern[str], what: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise FormatError(f"{str(value)[:80]!r} is no {what.removeprefix('a ').removeprefix('an ')}")
