"""A wheel of ours that compiles foreign sources: our folder, and the part of a locked sdist that it reads.

The folder is a project of scikit-build-core, whose CMakeLists.txt finds the foreign part by the variable
``SOVEREIGN_SOURCES``. Nothing of the foreign package is built by its own rules. Standard library only (see the
package's docstring).
"""

from __future__ import annotations

import shutil
import tarfile
import tomllib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from airgap_bundle.build.source_folder import copy_folder, folder_digest
from airgap_bundle.errors import BuildError, LockError

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.compiled_recipe import CompiledRecipe

SOURCES = "SOVEREIGN_SOURCES"


def project_version(project: Path, name: str) -> str:
    """The version in ``project``'s pyproject.toml. Raises ``LockError`` where there is none of a project ``name``."""
    path = project / "pyproject.toml"
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        found, version = said["name"], said["version"]
    except OSError as error:
        raise LockError(f"{path}: {str(error.strerror).lower()}", f"release.yaml names it for {name}") from error
    except (tomllib.TOMLDecodeError, KeyError, UnicodeDecodeError) as error:
        raise LockError(f"{path} states no name and version") from error
    if found != name or not isinstance(version, str):
        raise LockError(f"{path} is of {found}, release.yaml has {name} there")
    return version


def lay_out(recipe: CompiledRecipe, sdist: Path, folder: Path, scratch: Path) -> tuple[Path, Path]:
    """Below ``scratch``: a copy of the recipe's project, and the foreign sources that it compiles.

    ``folder`` is where release.yaml lies. Raises ``BuildError`` for a project that is not the lock's.
    """
    ours, theirs = scratch / recipe.name, scratch / "foreign"
    copy_folder(folder / recipe.project, ours)
    if folder_digest(ours) != recipe.project_sha256:
        raise BuildError(
            f"the sources of {recipe.name} are not those of the lock",
            f"run `sovereign bundle lock --relock {recipe.name}`",
        )
    _unpack(sdist, recipe.package_folder, theirs)
    if not theirs.is_dir():
        raise BuildError(f"{recipe.package} has no folder {recipe.package_folder}")
    return ours, theirs


def _unpack(sdist: Path, inner: str, dest: Path) -> None:
    """Regular files below ``inner`` of an sdist's one folder; links and everything else are left out."""
    wanted = PurePosixPath(inner).parts
    with tarfile.open(sdist, "r|gz") as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            if path.parts[1 : 1 + len(wanted)] != wanted or not member.isfile():
                continue
            if path.is_absolute() or ".." in path.parts:
                raise BuildError(f"{sdist.name} has a file outside its folder: {member.name!r}")
            target = dest.joinpath(*path.parts[1 + len(wanted) :])
            target.parent.mkdir(parents=True, exist_ok=True)
            content = archive.extractfile(member)
            assert content is not None  # it is a file
            with content, target.open("xb") as out:
                shutil.copyfileobj(content, out)
