"""`go/NAME/program.yaml`: which executables a wrapper module gives, and how they are compiled.

Which modules they are made of stands in `go.mod` and `go.sum` beside it; nothing here repeats a version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from airgap_bundle.build.source_folder import folder_digest
from airgap_bundle.errors import LockError

if TYPE_CHECKING:
    from pathlib import Path

FILE = "program.yaml"
MODULE_LISTS = ("go.mod", "go.sum")
_REQUIRE = re.compile(r"^(?:require\s+|\t)(?P<module>\S+) (?P<version>v\S+)", re.MULTILINE)

BinaryName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Tag = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.]+$")]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/-]+\.[A-Za-z0-9_]+$")]
Value = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9{}._+:/-]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Binary(_Strict):
    """One executable: the package it is compiled from, and what is its own beside the program's settings."""

    package: Annotated[str, StringConstraints(pattern=r"^(\.|[A-Za-z0-9._/-]+)$")]
    tags: tuple[Tag, ...] = ()


class ProgramFile(_Strict):
    """Settings of one wrapper module. ``module`` is what it wraps: its version is the program's.

    ``variables`` are set by the linker; `{version}` in them is that version, `{number}` the same without its `v`.
    """

    schema_: Literal[1] = Field(alias="schema")
    module: str | None = Field(default=None, description="required module whose version is the program's")
    version: str | None = Field(default=None, description="version of a program that wraps nothing")
    licence: str = Field(description="SPDX expression of what is wrapped")
    cgo: bool = Field(default=False, description="links a C library, statically; the lock then names the compiler")
    libraries: tuple[str, ...] = Field(default=(), description="C libraries by their pkg-config names")
    tags: tuple[Tag, ...] = ()
    variables: dict[Variable, Value] = {}
    carries_module: bool = Field(default=False, description="the wrapped module's zip is kept too, for recipes")
    binaries: dict[BinaryName, Binary] = Field(min_length=1)


@dataclass(frozen=True)
class ProgramSource:
    """A wrapper module's folder, read: ``digest`` is over every file in it, by path."""

    name: str
    folder: Path
    settings: ProgramFile
    module: str
    version: str
    digest: str


def load_program(folder: Path, name: str) -> ProgramSource:
    """The wrapper module ``go/name`` beside release.yaml, which lies in ``folder``. Raises ``LockError``."""
    home = folder / "go" / name
    path = home / FILE
    try:
        settings = ProgramFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        listed = (home / "go.mod").read_text(encoding="utf-8")
    except OSError as error:
        cause = str(error.strerror).lower()
        raise LockError(f"{error.filename}: {cause}", f"go/{name} is a module with a {FILE}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LockError(f"{path}: not yaml: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors())
        raise LockError(f"{path}: {told}", "docs/reference/images.md describes every field") from error
    return ProgramSource(name, home, settings, *_identity(settings, listed, path), folder_digest(home))


def _identity(settings: ProgramFile, listed: str, path: Path) -> tuple[str, str]:
    """Module and version that the program is known by."""
    if (settings.module is None) == (settings.version is None):
        raise LockError(f"{path}: either module or version, and not both")
    if settings.module is None:
        declared = re.search(r"^module (\S+)$", listed, re.MULTILINE)
        return declared[1] if declared else "", str(settings.version)
    versions = {match["module"]: match["version"] for match in _REQUIRE.finditer(listed)}
    if settings.module not in versions:
        raise LockError(f"{path}: go.mod does not require {settings.module}")
    return settings.module, versions[settings.module]
