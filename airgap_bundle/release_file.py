"""`release.yaml`: what a release is made of, as a person writes it.

Every kind of artifact has its own model, here or in the modules `…_artifacts` beside this, and its own builder in
`airgap_bundle.build.kinds`; a new kind is one entry in each. Unknown keys are mistakes. Paths are relative to the
folder that holds the file. Nothing here is a digest of something fetched: those are in `release.lock`. The one
exception is a model's weights, whose digest a person states from a source other than the one the parts are fetched
from.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Annotated, Literal, Self

import yaml
from pydantic import BaseModel, Field, StringConstraints, ValidationError, field_validator, model_validator

from airgap_bundle.errors import LockError
from airgap_bundle.image_artifacts import ImageArtifact
from airgap_bundle.made_artifacts import ChartArtifact, HostProgramsArtifact, RecipeArtifact
from airgap_bundle.model_artifacts import ModelArtifact
from airgap_bundle.names import check_path
from airgap_bundle.release_fields import (
    STRICT,
    MavenCoordinate,
    Name,
    PinnedPackage,
    PythonVersion,
    Version,
    read_by,
)

if TYPE_CHECKING:
    from pathlib import Path


class _Strict(BaseModel):
    model_config = STRICT


class ForeignSources(_Strict):
    """What a project of ours compiles: a folder inside the sdist of a package."""

    package: PinnedPackage
    folder: Annotated[str, read_by(check_path)]


class CompiledWheel(_Strict):
    """A wheel that is compiled once, here, with these CMake options.

    From the sdist of a package that is offered as source only, or from a ``project`` of ours and the foreign
    ``sources`` that it names.
    """

    name: Name
    project: str | None = Field(
        default=None, description="folder of a project of ours, relative to release.yaml; it is on no index"
    )
    sources: ForeignSources | None = None
    cmake: dict[str, str] = {}
    project_include: dict[str, str] = Field(
        default={}, description="CMake files by the project() they are read after, relative to release.yaml"
    )
    wheel_exclude: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.project is None) != (self.sources is None):
            raise ValueError("project and sources are named together")
        return self


class Embedded(_Strict):
    """A foreign component that a wheel carries inside, named for the SBOM."""

    name: str
    version: str
    licence: str


class WheelhouseArtifact(_Strict):
    """Every wheel of a hash-locked requirements list, and our own wheel, for some interpreters of one platform."""

    kind: Literal["wheelhouse"]
    name: Name
    requirements: str
    project: str | None = Field(default=None, description="folder of the project whose own wheel is added")
    python: tuple[PythonVersion, ...] = Field(min_length=1, description="minor versions of CPython that it serves")
    machine: Literal["x86_64"]
    glibc: Annotated[str, StringConstraints(pattern=r"^2\.[0-9]+$")] = Field(
        description="oldest glibc for which wheels are chosen"
    )
    compiled: tuple[CompiledWheel, ...] = ()
    embeds: dict[Name, tuple[Embedded, ...]] = {}

    @field_validator("python")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a version of python is named twice")
        return value


class KeycloakArtifact(_Strict):
    """The Keycloak distribution, fetched by its Maven coordinate group:artifact:version:extension."""

    kind: Literal["keycloak"]
    name: Name
    maven: MavenCoordinate

    @property
    def version(self) -> str:
        """Version part of the coordinate."""
        return self.maven.split(":")[2]


class PolicyArtifact(_Strict):
    """A policy file of the tree."""

    kind: Literal["policy"]
    name: Name
    file: str


class CasesArtifact(_Strict):
    """Cases that sites learnt and sent back, merged by `sovereign learn import`."""

    kind: Literal["cases"]
    name: Name
    folder: str = Field(description="folder that `sovereign learn import` keeps; its cases.jsonl is carried")


ArtifactSpec = Annotated[
    WheelhouseArtifact
    | KeycloakArtifact
    | ModelArtifact
    | PolicyArtifact
    | CasesArtifact
    | ImageArtifact
    | RecipeArtifact
    | HostProgramsArtifact
    | ChartArtifact,
    Field(discriminator="kind"),
]


class ReleaseFile(_Strict):
    """The whole description. ``number`` counts releases and never falls; ``min_release`` is the rollback floor.

    ``extends`` names a description in the same folder whose artifacts, locked beside it, are this release's too, before
    its own.
    """

    schema_: Literal[1] = Field(alias="schema")
    name: Name
    version: Version
    number: int = Field(ge=1, le=2**53)
    min_release: int = Field(ge=1)
    support_until: date
    source_date: date
    extends: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*\.yaml$")] | None = None
    debian: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")] | None = Field(
        default=None, description="suite that debian packages are taken from"
    )
    artifacts: tuple[ArtifactSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_release > self.number:
            raise ValueError("min_release is above number")
        names = [artifact.name for artifact in self.artifacts]
        if len(set(names)) != len(names):
            raise ValueError("two artifacts have one name")
        return self

    @property
    def epoch(self) -> int:
        """SOURCE_DATE_EPOCH of everything that is built: ``source_date`` at midnight UTC, in seconds."""
        return int(datetime.combine(self.source_date, time(), UTC).timestamp())


def load_release(path: Path) -> ReleaseFile:
    """Read and validate ``path``. Raises ``LockError`` that names every mistake."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LockError(f"{path}: {str(error.strerror).lower()}", "name the release file: --release FILE") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        cause = re.sub(r"\s+", " ", str(error))
        raise LockError(f"{path}: not yaml: {cause}") from error
    try:
        return ReleaseFile.model_validate(value)
    except ValidationError as error:
        mistakes = "; ".join(
            f"{'.'.join(str(part) for part in mistake['loc']) or 'file'}: {mistake['msg']}"
            for mistake in error.errors()
        )
        raise LockError(f"{path}: {mistakes}", "docs/reference/release.md describes every field") from error
