"""A wheel of ours out of foreign sources is made of what the lock says: our folder, and a part of a locked package."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.build.native_wheel import _shape
from airgap_bundle.build.own_project import lay_out, project_version
from airgap_bundle.build.source_folder import folder_digest
from airgap_bundle.build.wheelhouse import requests
from airgap_bundle.errors import BuildError, LockError
from airgap_bundle.release_file import load_release
from tests.unit.build.own_projects import COMPILED, FOREIGN, add_own_project, sdist, write_project
from tests.unit.build.test_release_lock import OWN, RECIPE

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.compiled_recipe import CompiledRecipe
    from tests.unit.build.synthetic_release import Synthetic


@pytest.fixture
def recipe(tmp_path: Path) -> CompiledRecipe:
    project = write_project(tmp_path / "native" / "our-answer")
    return replace(OWN, project_sha256=folder_digest(project))


def test_the_foreign_folder_and_our_own_are_laid_out_and_nothing_besides(
    recipe: CompiledRecipe, tmp_path: Path
) -> None:
    (tmp_path / "native" / "our-answer" / "__pycache__").mkdir()
    (tmp_path / "native" / "our-answer" / "__pycache__" / "x.pyc").write_bytes(b"x")
    (tmp_path / "native" / "our-answer" / ".hidden").write_bytes(b"x")
    package = sdist(tmp_path / "foreign-4.2.tar.gz", FOREIGN, {"foreign-4.2/src/lib/link.c": "/etc/passwd"})
    ours, theirs = lay_out(recipe, package, tmp_path, tmp_path / "scratch")
    assert {path.relative_to(ours).as_posix() for path in ours.rglob("*") if path.is_file()} == {
        "CMakeLists.txt",
        "pyproject.toml",
        "our_answer/__init__.py",
    }
    assert [(path.name, path.read_bytes()) for path in theirs.rglob("*")] == [
        ("answer.c", FOREIGN["foreign-4.2/src/lib/answer.c"])
    ]


def test_a_file_that_would_lie_outside_is_refused(recipe: CompiledRecipe, tmp_path: Path) -> None:
    package = sdist(tmp_path / "foreign-4.2.tar.gz", {"foreign-4.2/src/lib/../../../up.c": b"x"})
    with pytest.raises(BuildError, match="a file outside its folder"):
        lay_out(recipe, package, tmp_path, tmp_path / "scratch")
    assert not (tmp_path / "up.c").exists()


def test_a_package_without_the_folder_is_refused(recipe: CompiledRecipe, tmp_path: Path) -> None:
    package = sdist(tmp_path / "foreign-4.2.tar.gz", {"foreign-4.2/src/library/answer.c": b"x"})
    with pytest.raises(BuildError, match=r"foreign==4\.2 has no folder src/lib"):
        lay_out(recipe, package, tmp_path, tmp_path / "scratch")


@pytest.mark.parametrize("change", ["edited", "added", "renamed"])
def test_another_project_than_the_locks_is_not_compiled(recipe: CompiledRecipe, tmp_path: Path, change: str) -> None:
    cmake = tmp_path / "native" / "our-answer" / "CMakeLists.txt"
    match change:
        case "edited":
            cmake.write_text(cmake.read_text() + "# more\n")
        case "added":
            cmake.with_name("more.c").write_text("")
        case _:
            cmake.rename(cmake.with_name("Other.txt"))
    package = sdist(tmp_path / "foreign-4.2.tar.gz", FOREIGN)
    with pytest.raises(BuildError, match="not those of the lock") as caught:
        lay_out(recipe, package, tmp_path, tmp_path / "scratch")
    assert "--relock our-answer" in str(caught.value.hint)


def test_a_link_is_no_source(recipe: CompiledRecipe, tmp_path: Path) -> None:
    (tmp_path / "native" / "our-answer" / "linked.c").symlink_to("/etc/passwd")
    with pytest.raises(LockError, match="sources are regular files"):
        lay_out(recipe, sdist(tmp_path / "foreign-4.2.tar.gz", FOREIGN), tmp_path, tmp_path / "scratch")


def test_the_version_is_the_projects_and_its_name_the_releases(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project")
    assert project_version(project, "our-answer") == "1.5"
    with pytest.raises(LockError, match=r"is of our-answer, release\.yaml has another there"):
        project_version(project, "another")
    (project / "pyproject.toml").write_text("[project]\nname = 'our-answer'\n")
    with pytest.raises(LockError, match="states no name and version"):
        project_version(project, "our-answer")
    (project / "pyproject.toml").unlink()
    with pytest.raises(LockError, match="no such file"):
        project_version(project, "our-answer")


def test_the_foreign_package_is_asked_for_once_and_ours_of_no_index(synthetic: Synthetic) -> None:
    add_own_project(synthetic)
    twice = [COMPILED, {**COMPILED, "name": "another-answer"}]
    synthetic.edit(lambda value: value["artifacts"][0].update(compiled=twice))
    spec = load_release(synthetic.release).artifacts[0]
    asked = requests(spec, synthetic.release.parent)
    assert [(item.name, item.version) for item in asked if item.kind == "sdist"] == [("foreign", "4.2")]
    assert {item.name for item in asked} == {"alpha", "beta-two", "foreign"}


def test_a_list_that_asks_an_index_for_our_project_is_refused(synthetic: Synthetic) -> None:
    add_own_project(synthetic)
    synthetic.edit(lambda value: value["artifacts"][0]["compiled"][0].update(name="alpha"))
    with pytest.raises(LockError, match="asks an index for what is a project of ours: alpha"):
        requests(load_release(synthetic.release).artifacts[0], synthetic.release.parent)


def test_what_shapes_a_wheel_of_ours_is_in_its_key_and_other_keys_are_as_they_were() -> None:
    assert {"project", "project_sha256", "package", "package_folder"}.isdisjoint(_shape(RECIPE))
    assert _shape(replace(OWN, project="elsewhere")) == _shape(OWN)
    for change in ({"project_sha256": "0" * 64}, {"package_folder": "src"}, {"sdist": "0" * 64}):
        assert _shape(replace(OWN, **change)) != _shape(OWN)
