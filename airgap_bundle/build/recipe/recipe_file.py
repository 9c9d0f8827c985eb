"""`images/NAME/recipe.yaml`: what one container image is made of, as a person writes it.

Every way of being less than strict (root, a shell, a path that is written to) is an entry with its reason in words, so
that a reader of the recipe need not guess and a reader of the image finds it in the labels. Unknown keys are mistakes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from airgap_bundle.build.rootfs.tree import check_path
from airgap_bundle.errors import BuildError, LockError

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import ErrorDetails

_ABSOLUTE = re.compile(r"^/[^/]")


def _absolute(text: str) -> str:
    if not _ABSOLUTE.match(text):
        raise ValueError("a path in an image begins with one slash")
    try:
        check_path(text[1:])
    except BuildError as error:
        raise ValueError(error.cause) from error
    return text


Reason = Annotated[str, StringConstraints(min_length=12)]
ImagePath = Annotated[str, AfterValidator(_absolute)]
PartName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
PackageName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]
Mode = Annotated[str, StringConstraints(pattern=r"^[01]?[0-7]{3}$")]
Owner = Annotated[int, Field(ge=0, le=65535)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DebianPart(_Strict):
    """Packages with all they depend on, but for what is left out, and files of theirs that are removed."""

    packages: tuple[PackageName, ...] = Field(min_length=1)
    without: tuple[PackageName, ...] = Field(default=(), description="packages that the others depend on in name only")


class ProgramPart(_Strict):
    """One executable of a wrapper module below `go/`."""

    program: PartName
    binary: PartName
    path: ImagePath


class ModulePart(_Strict):
    """Files of the module that a program wraps, where the program carries it."""

    program: PartName
    folder: str = Field(description="folder inside the module")
    path: ImagePath | Literal["/"]
    only: tuple[str, ...] = Field(default=("**",), description="patterns of what is taken")
    mode: Mode = "0644"


class WheelsPart(_Strict):
    """Wheels of a wheelhouse of the same release, as an interpreter imports them."""

    artifact: PartName
    python: Annotated[str, StringConstraints(pattern=r"^3\.[0-9]{1,2}$")]
    path: ImagePath
    only: tuple[PartName, ...] = Field(default=(), description="these distributions alone; all where none is named")
    without: tuple[PartName, ...] = ()


class ArchivePart(_Strict):
    """A tar that another artifact of the same release is."""

    artifact: PartName
    file: str
    path: ImagePath


class FilePart(_Strict):
    """A file of the tree: one that lies beside the recipe, or its text."""

    path: ImagePath
    source: str | None = None
    text: str | None = None
    mode: Mode = "0644"

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.source is None) == (self.text is None):
            raise ValueError("a file has a source or a text")
        return self


class FolderPart(_Strict):
    """A folder that must be there, with its mode and owner."""

    path: ImagePath
    mode: Mode = "0755"
    owner: Owner = 0


class LayerPart(_Strict):
    """One layer. Parts are laid down in this order; a recipe's own files and links replace what packages have.

    ``shared`` names a file that describes the layer instead, so that several images have the very same one.
    """

    shared: str | None = None
    debian: DebianPart | None = None
    archives: tuple[ArchivePart, ...] = ()
    wheels: tuple[WheelsPart, ...] = ()
    modules: tuple[ModulePart, ...] = ()
    programs: tuple[ProgramPart, ...] = ()
    files: tuple[FilePart, ...] = ()
    links: dict[ImagePath, str] = {}
    folders: tuple[FolderPart, ...] = ()
    remove: tuple[str, ...] = Field(default=(), description="patterns; one that matches nothing is a mistake")
    keep: tuple[str, ...] = Field(default=(), description="patterns of what stays although it matches `remove`")

    @model_validator(mode="after")
    def _alone(self) -> Self:
        if self.shared is not None and self.model_fields_set != {"shared"}:
            raise ValueError("a shared layer is described in its file alone")
        return self


class Recipe(_Strict):
    """The whole recipe. An image runs as ``user``, or as root for the reason that ``root`` gives."""

    schema_: Literal[1] = Field(alias="schema")
    title: str
    licence: str = Field(description="SPDX expression of what the image is for")
    user: Annotated[int, Field(ge=1, le=65535)] | None = None
    root: Reason | None = None
    shell: Reason | None = Field(default=None, description="why there is a shell; without it one is refused")
    unneeded: dict[str, Reason] = Field(default={}, description="libraries that files name and that are left out, why")
    writable: dict[ImagePath, Reason] = Field(default={}, description="paths that need a volume, each with its reason")
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: dict[Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")], str] = {}
    folder: str = "/"
    layers: tuple[LayerPart, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _who(self) -> Self:
        if (self.user is None) == (self.root is None):
            raise ValueError("an image names its user, or why it runs as root")
        return self


_Model = TypeVar("_Model", Recipe, LayerPart)


def load_recipe(path: Path) -> tuple[Recipe, tuple[LayerPart, ...]]:
    """The recipe at ``path`` and its layers, shared ones read. Raises ``LockError`` that names every mistake."""
    recipe = _load(path, Recipe)
    return recipe, tuple(_shared(path.parent, layer) for layer in recipe.layers)


def _shared(home: Path, layer: LayerPart) -> LayerPart:
    if layer.shared is None:
        return layer
    found = _load(home / layer.shared, LayerPart)
    if found.shared is not None:
        raise LockError(f"{home / layer.shared} names another file", "a shared layer is described where it is named")
    return found


def _load(path: Path, model: type[_Model]) -> _Model:
    try:
        return model.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise LockError(f"{path}: {str(error.strerror).lower()}", "release.yaml or a recipe names it") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LockError(f"{path}: not yaml: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        told = "; ".join(map(_told, error.errors()))
        raise LockError(f"{path}: {told}", "docs/reference/images.md describes every field") from error


def _told(mistake: ErrorDetails) -> str:
    return f"{'.'.join(str(part) for part in mistake['loc']) or 'file'}: {mistake['msg']}"
