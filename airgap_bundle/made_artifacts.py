"""Artifacts of `release.yaml` that are made here from Go programs, Debian packages and other artifacts."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StringConstraints, field_validator, model_validator

from airgap_bundle.image_reference import parse_reference
from airgap_bundle.release_fields import STRICT, ImageText, Name

FileName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
ChartFolder = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$")]
HostPath = Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9][A-Za-z0-9._-]*)+$")]


class _Strict(BaseModel):
    model_config = STRICT


class RecipeArtifact(_Strict):
    """A container image that a recipe of the tree describes; ``image`` is the name that it goes by on the site."""

    kind: Literal["image-recipe"]
    name: Name
    recipe: str
    image: ImageText

    @field_validator("image")
    @classmethod
    def _by_tag(cls, value: str) -> str:
        if parse_reference(value).digest is not None or parse_reference(value).tag is None:
            raise ValueError("an image that is made here has a tag; its digest follows from its recipe")
        return value


class HostProgram(_Strict):
    """One executable of a wrapper module below `go/`, and where it belongs on a host."""

    program: FileName
    binary: FileName
    path: HostPath


class HostProgramsArtifact(_Strict):
    """Executables for cluster hosts; ``links`` are further names, by path, of what lies in the same folder."""

    kind: Literal["host-programs"]
    name: Name
    platform: Literal["linux/amd64"]
    files: tuple[HostProgram, ...] = Field(min_length=1)
    links: dict[HostPath, FileName] = {}

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        paths = [item.path for item in self.files] + list(self.links)
        if len({item.binary for item in self.files}) != len(self.files) or len(set(paths)) != len(paths):
            raise ValueError("two executables have one name or one path")
        lacking = {f"{path.rsplit('/', 1)[0]}/{target}" for path, target in self.links.items()} - set(paths)
        if lacking:
            raise ValueError(f"links lead to nothing: {', '.join(sorted(lacking))}")
        return self


class ChartArtifact(_Strict):
    """A Helm chart: of the tree (``source``), or as the Go module of what it installs carries it.

    Then ``folder`` is one of the module that ``program`` wraps.
    """

    kind: Literal["chart"]
    name: Name
    source: str | None = Field(default=None, description="folder of a chart of the tree, relative to release.yaml")
    library: str | None = Field(default=None, description="folder of templates that several charts of the tree share")
    program: FileName | None = None
    folder: ChartFolder | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.program is None) != (self.folder is None) or (self.source is None) == (self.program is None):
            raise ValueError("a chart has either a source, or a program and a folder of its module")
        if self.library is not None and self.source is None:
            raise ValueError("a library is shared by charts of the tree")
        return self
