"""A chart comes out of the very module that its programs were compiled from, in the one spelling of archives."""

from __future__ import annotations

import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
import yaml

from airgap_bundle.archive import extract
from airgap_bundle.build.artifact import BuildContext, BuiltArtifact
from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.golang.program_file import load_program
from airgap_bundle.build.kinds import KINDS
from airgap_bundle.build.stage import silent
from airgap_bundle.errors import BuildError
from airgap_bundle.lock import ReleaseLock
from airgap_bundle.locked_program import LockedFile, LockedProgram
from airgap_bundle.made_artifacts import ChartArtifact

if TYPE_CHECKING:
    from pathlib import Path

TOP = "example.org/tool@v1.2.3"
CHART = {"Chart.yaml": "name: tool\nversion: 1.2.3\n", "values.yaml": "a: 1\n", "templates/a.yaml": "kind: Pod\n"}


def build(root: Path, folder: str = "install/chart", files: dict[str, str] | None = None) -> BuiltArtifact:
    """The artifact of a module whose zip has ``files`` (by default a chart) in install/chart."""
    home = root / "go/tool"
    home.mkdir(parents=True, exist_ok=True)
    (home / "go.mod").write_text("module sovereign.invalid/tool\n\nrequire example.org/tool v1.2.3\n")
    settings = {"schema": 1, "module": "example.org/tool", "licence": "MIT", "carries_module": True}
    (home / "program.yaml").write_text(yaml.safe_dump(settings | {"binaries": {"tool": {"package": "."}}}))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(f"{TOP}/main.go", "package main\n")
        for path, text in (CHART if files is None else files).items():
            opened.writestr(f"{TOP}/install/chart/{path}", text)
    cache, source = BuildCache(root / "cache"), load_program(root, "tool")
    kept = {"module.zip": cache.add_bytes(archive.getvalue()), "tool": cache.add_bytes(b"program")}
    locked = {name: LockedFile(file.sha256, file.size) for name, file in kept.items()}
    program = LockedProgram("tool", source.module, source.version, "go1.26.8", "", source.digest, locked)
    lock = ReleaseLock("r", "1.0.0", programs=(program,))
    context = BuildContext(root, 0, "1.0.0", lock, {}, cache, silent)
    return KINDS["chart"].build(ChartArtifact(kind="chart", name="tool-chart", program="tool", folder=folder), context)


def test_the_tar_has_the_chart_and_nothing_else_of_the_module(tmp_path: Path) -> None:
    made = build(tmp_path)
    (file,) = made.files
    assert (file.title, made.version, made.config["name"]) == ("chart.tar", "1.2.3", "tool")
    with tarfile.open(file.file.path) as archive:
        found = {member.name: stream.read().decode() for member in archive if (stream := archive.extractfile(member))}
    assert found == {f"tool/{path}": text for path, text in CHART.items()}


def test_it_is_in_the_one_spelling_of_archives(tmp_path: Path) -> None:
    (file,) = build(tmp_path).files
    with file.file.path.open("rb") as stream:
        assert extract(stream, tmp_path / "out") >= len(CHART)


def test_another_builder_makes_the_same_bytes(tmp_path: Path) -> None:
    first, second = build(tmp_path / "one"), build(tmp_path / "a-longer-name")
    assert first.files[0].file.sha256 == second.files[0].file.sha256


@pytest.mark.parametrize(("folder", "files"), [("install/other", None), ("install/chart", {"values.yaml": "a: 1\n"})])
def test_a_folder_without_a_chart_is_refused(folder: str, files: dict[str, str] | None, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no chart") as caught:
        build(tmp_path, folder, files)
    assert caught.value.hint is not None


def own(root: Path, spec: ChartArtifact) -> BuiltArtifact:
    """The artifact of a chart of the tree."""
    (root / "sources").mkdir(exist_ok=True)
    context = BuildContext(root / "sources", 0, "1.0.0", ReleaseLock("r", "1.0.0"), {}, BuildCache(root / "c"), silent)
    return KINDS["chart"].build(spec, context)


def lay(home: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text)


SHARING = ChartArtifact(kind="chart", name="tool-chart", source="../charts/tool", library="../charts/library")


def test_a_chart_of_the_tree_is_what_lies_there_with_what_it_shares(tmp_path: Path) -> None:
    lay(tmp_path / "charts/tool", {**CHART, ".cache/x": "no"})
    lay(tmp_path / "charts/library", {"_shared.tpl": "{{/* shared */}}"})
    (file,) = own(tmp_path, SHARING).files
    with tarfile.open(file.file.path) as archive:
        names = set(archive.getnames())
    assert names == {*(f"tool/{path}" for path in CHART), "tool/templates/_shared.tpl"}


def test_a_link_in_a_chart_and_a_file_that_would_hide_another_are_refused(tmp_path: Path) -> None:
    lay(tmp_path / "charts/tool", CHART)
    lay(tmp_path / "charts/library", {"a.yaml": "kind: Other\n"})
    with pytest.raises(BuildError, match="its library has too"):
        own(tmp_path, SHARING)
    (tmp_path / "charts/library/a.yaml").unlink()
    (tmp_path / "charts/tool/templates/b.yaml").symlink_to("/etc/hostname")
    with pytest.raises(BuildError, match="regular files"):
        own(tmp_path, SHARING)


@pytest.mark.parametrize(
    "fields", [{}, {"source": "x", "program": "tool", "folder": "a"}, {"program": "tool"}, {"library": "x"}]
)
def test_a_chart_has_one_origin(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"either a source|shared by charts"):
        ChartArtifact(kind="chart", name="tool-chart", **fields)  # type: ignore[arg-type]
