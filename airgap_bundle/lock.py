"""`release.lock`: every input of a release by digest, and the recipe of everything that was compiled.

JSON, written by `bundle lock`, committed, reviewed as a diff: one line per input. It names packages and coordinates,
never addresses: where a builder's clients fetch from is the builder's own setting. Standard library only, because the
native wheel is compiled before a development environment is complete.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from airgap_bundle import strict_json
from airgap_bundle.compiled_recipe import CompiledRecipe, parse_recipes
from airgap_bundle.errors import FormatError, LockError, UnsafeNameError
from airgap_bundle.locked_image import LockedImage, parse_images
from airgap_bundle.locked_packages import PackageSet, dump_sets, parse_sets
from airgap_bundle.locked_program import LockedProgram, parse_programs
from airgap_bundle.names import check_name

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

InputKind = Literal["wheel", "sdist", "maven"]
INPUT_KINDS: tuple[InputKind, ...] = ("wheel", "sdist", "maven")
SCHEMA = 1
_HEX = re.compile(r"[0-9a-f]{64}")
_PYTHON = re.compile(r"3\.[0-9]{1,2}")


class Key(NamedTuple):
    """What release.yaml asks for. ``python`` ("3.11") where the file is chosen for one interpreter, else empty."""

    artifact: str
    kind: str
    name: str
    version: str
    python: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}" + (f" for python {self.python}" if self.python else "")


@dataclass(frozen=True, order=True)
class LockedInput:
    """One file to fetch. ``name`` is a package, or group:artifact of a Maven coordinate; ``file`` its file name.

    ``python`` lists the interpreters that the file was chosen for, ascending; empty where none was named.
    """

    artifact: str
    kind: InputKind
    name: str
    version: str
    file: str
    sha256: str
    size: int
    python: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[Key, ...]:
        """Everything that this one file answers."""
        return tuple(Key(self.artifact, self.kind, self.name, self.version, one) for one in self.python or ("",))


def merged(inputs: Iterable[LockedInput]) -> tuple[LockedInput, ...]:
    """``inputs`` sorted, each file once, with every interpreter that it was chosen for."""
    pythons: dict[LockedInput, set[str]] = {}
    for item in inputs:
        pythons.setdefault(replace(item, python=()), set()).update(item.python)
    return tuple(sorted(replace(item, python=ascending(found)) for item, found in pythons.items()))


def ascending(versions: Iterable[str]) -> tuple[str, ...]:
    """Dotted versions by their numbers, each once: 3.9 comes before 3.11."""
    return tuple(sorted(set(versions), key=lambda text: [int(part) for part in text.split(".")]))


@dataclass(frozen=True)
class ReleaseLock:
    """The lock of release ``name`` ``version``."""

    name: str
    version: str
    inputs: tuple[LockedInput, ...] = ()
    compiled: tuple[CompiledRecipe, ...] = field(default=())
    images: tuple[LockedImage, ...] = ()
    programs: tuple[LockedProgram, ...] = ()
    packages: tuple[PackageSet, ...] = ()

    def program(self, name: str) -> LockedProgram:
        """The Go program ``name``. Raises ``LockError`` when the lock does not have it."""
        for candidate in self.programs:
            if candidate.name == name:
                return candidate
        raise LockError(f"release.lock has no program {name}", "run `sovereign bundle lock`")

    def package_set(self, artifact: str) -> PackageSet:
        """The Debian packages of ``artifact``. Raises ``LockError`` when the lock does not have them."""
        for candidate in self.packages:
            if candidate.artifact == artifact:
                return candidate
        raise LockError(f"release.lock has no debian packages for {artifact}", "run `sovereign bundle lock`")

    def find(self, key: Key) -> LockedInput:
        """The input that release.yaml asks for by ``key``. Raises ``LockError`` when the lock does not have it."""
        for candidate in self.inputs:
            if key in candidate.keys:
                return candidate
        raise LockError(f"release.lock has no {key.kind} {key} in {key.artifact}", "run `sovereign bundle lock`")

    def image(self, artifact: str) -> LockedImage:
        """The image of ``artifact``. Raises ``LockError`` when the lock does not have it."""
        for candidate in self.images:
            if candidate.artifact == artifact:
                return candidate
        raise LockError(f"release.lock has no image for {artifact}", "run `sovereign bundle lock`")

    def recipe(self, artifact: str, name: str) -> CompiledRecipe:
        """The recipe of compiled package ``name``. Raises ``LockError`` when the lock does not have it."""
        for candidate in self.compiled:
            if (candidate.artifact, candidate.name) == (artifact, name):
                return candidate
        raise LockError(f"release.lock has no recipe for {name} of {artifact}", "run `sovereign bundle lock`")


def dump_lock(lock: ReleaseLock) -> bytes:
    """Deterministic text with one line per input, so that a change is one line of a diff."""
    inputs = ",\n".join("    " + _line(asdict(item)) for item in sorted(lock.inputs))
    ordered = sorted(lock.compiled, key=lambda item: (item.artifact, item.name))
    compiled = ",\n".join(_indented(item.to_json()) for item in ordered)
    head = f'{{\n  "schema": {SCHEMA},\n  "name": {json.dumps(lock.name)},\n  "version": {json.dumps(lock.version)},\n'
    images = ",\n".join(_indented(asdict(item)) for item in sorted(lock.images, key=lambda item: item.artifact))
    programs = ",\n".join(_indented(asdict(item)) for item in sorted(lock.programs, key=lambda item: item.name))
    sections = {"images": images, "programs": programs, "packages": dump_sets(lock.packages)}
    tail = "".join(f',\n  "{name}": [\n{text}\n  ]' for name, text in sections.items() if text)
    return f'{head}  "inputs": [\n{inputs}\n  ],\n  "compiled": [\n{compiled}\n  ]{tail}\n}}\n'.encode()


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _indented(value: dict[str, Any]) -> str:
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    return "\n".join("    " + line for line in text.splitlines())


def load_lock(path: Path) -> ReleaseLock:
    """Read ``path``. Raises ``LockError`` when it is missing, no lock, or names something twice."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise LockError(f"{path}: no lock", "run `sovereign bundle lock`") from error
    try:
        return _parse(strict_json.load_object(data))
    except (FormatError, UnsafeNameError) as error:
        raise LockError(f"{path}: {error.cause}", "run `sovereign bundle lock`, or restore the file") from error


def _parse(value: dict[str, Any]) -> ReleaseLock:
    for section in ("images", "programs", "packages"):
        value.setdefault(section, [])
    sections = ("inputs", "compiled", "images", "programs", "packages")
    if value.get("schema") != SCHEMA or set(value) != {"schema", "name", "version", *sections}:
        raise FormatError(f"not a release lock of schema {SCHEMA}")
    name, version, inputs, compiled = value["name"], value["version"], value["inputs"], value["compiled"]
    if not (isinstance(name, str) and isinstance(version, str)):
        raise FormatError("name and version are no text")
    if not all(isinstance(value[section], list) for section in sections):
        raise FormatError(f"{', '.join(sections)} are no lists")
    lock = ReleaseLock(
        name,
        version,
        tuple(_input(item) for item in inputs),
        parse_recipes(compiled),
        parse_images(value["images"]),
        parse_programs(value["programs"]),
        parse_sets(value["packages"]),
    )
    keys = [key for item in lock.inputs for key in item.keys]
    if len(set(keys)) != len(keys):
        raise FormatError("an input is locked twice")
    return lock


def _input(value: object) -> LockedInput:
    names = [item.name for item in fields(LockedInput)]
    if not isinstance(value, dict) or sorted(value) != sorted(names):
        raise FormatError(f"a lock entry has other fields than {', '.join(names)}")
    for name in ("artifact", "name", "version", "file", "sha256"):
        if not isinstance(value[name], str):
            raise FormatError(f"{name} of a lock entry is no text")
    if not _HEX.fullmatch(value["sha256"]) or type(value["size"]) is not int or value["size"] < 0:
        raise FormatError(f"lock entry {value['name']} has no sha256 or no size")
    check_name(value["file"])
    _check_input(value)
    return LockedInput(**value | {"python": tuple(value["python"])})


def _check_input(value: dict[str, Any]) -> None:
    if value["kind"] not in INPUT_KINDS:
        raise FormatError(f"lock entry {value['name']} has unknown kind {value['kind']!r}")
    python = value["python"]
    if not isinstance(python, list) or not all(isinstance(one, str) and _PYTHON.fullmatch(one) for one in python):
        raise FormatError(f"lock entry {value['name']} names no versions of python")
