"""A real image made here, from a Go program to a bundle: the same bytes twice, and its program runs."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
import zstandard

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.release import build_release, lock_release
from airgap_bundle.build.stage import silent
from airgap_bundle.errors import BuildError
from airgap_bundle.inspection import inspect_bundle
from airgap_bundle.lock import load_lock
from airgap_bundle.trust_state import TrustState
from tests.go_programs import go_program

if TYPE_CHECKING:
    from airgap_bundle.build.release import BuiltBundle

_HOME = Path.home()  # before any test moves it
SOURCES = Path(__file__).parents[3] / "sources"
RELEASE = {
    "schema": 1,
    "name": "small",
    "version": "1.0.0",
    "number": 1,
    "min_release": 1,
    "support_until": "2030-01-31",
    "source_date": "2026-01-01",
    "artifacts": [
        {
            "kind": "image-recipe",
            "name": "pause",
            "recipe": "images/pause/recipe.yaml",
            "image": "sovereign.internal/pause:v1.0.0",
        },
        {
            "kind": "host-programs",
            "name": "programs",
            "platform": "linux/amd64",
            "files": [{"program": "pause", "binary": "pause", "path": "/usr/local/bin/pause"}],
            "links": {"/usr/local/bin/wait": "pause"},
        },
    ],
}


class Made:
    """One builder's tree, lock and bundle."""

    def __init__(self, root: Path) -> None:
        self.tree, self.cache = root / "sources", BuildCache(root / "cache")
        for name in ("go/pause", "images/pause"):
            shutil.copytree(SOURCES / name, self.tree / name)
        self.release = self.tree / "small.yaml"
        self.release.write_text(yaml.safe_dump(RELEASE))
        lock_release(self.release, cache=self.cache, stage=silent)
        self.folder = root / "bundle"
        self.result: BuiltBundle = build_release(self.release, self.folder, cache=self.cache, stage=silent)

    def blob(self, digest: str) -> bytes:
        return (self.folder / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()

    def document(self, digest: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.blob(digest))
        return value


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    go_program()  # fails where there is none
    with pytest.MonkeyPatch.context() as patch:
        _use_go_caches(patch)
        return Made(tmp_path_factory.mktemp("made"))


def _use_go_caches(patch: pytest.MonkeyPatch) -> None:
    """Go's own caches stay where they are, though tests move the home folder."""
    patch.setenv("GOCACHE", str(_HOME / ".cache" / "go-build"))
    patch.setenv("GOMODCACHE", str(_HOME / "go" / "pkg" / "mod"))


def layer_files(made: Made) -> dict[str, bytes]:
    (found,) = [
        item
        for item in json.loads((made.folder / "index.json").read_bytes())["manifests"]
        if item["artifactType"].endswith("image.v1")
    ]
    manifest = made.document(found["digest"])
    data = zstandard.ZstdDecompressor().decompressobj().decompress(made.blob(manifest["layers"][0]["digest"]))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {item.name: stream.read() for item in archive if (stream := archive.extractfile(item)) is not None}


def test_another_builder_makes_the_same_bundle(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _use_go_caches(monkeypatch)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    monkeypatch.setenv("GOFLAGS", "-tags=other")
    before = os.umask(0o077)
    try:
        again = Made(tmp_path / "a-folder-with-a-longer-name")
    finally:
        os.umask(before)
    assert again.result.index == made.result.index
    assert again.release.with_suffix(".lock").read_bytes() == made.release.with_suffix(".lock").read_bytes()


def test_inspection_shows_the_image_and_where_its_name_comes_from(made: Made) -> None:
    found = inspect_bundle(made.folder, TrustState.expecting(None), now=datetime.now(UTC))
    image, programs = sorted(found.artifacts, key=lambda item: item.name)
    assert (image.kind, image.image["source"]) == ("image", "sovereign.internal/pause:v1.0.0")
    assert (programs.kind, sorted(programs.files)) == ("host-programs", ["pause"])


def test_the_image_has_one_file_and_it_reaps_and_ends_when_told(made: Made, tmp_path: Path) -> None:
    files = layer_files(made)
    assert list(files) == ["pause"]
    program = tmp_path / "pause"
    program.write_bytes(files["pause"])
    program.chmod(0o755)
    with subprocess.Popen([program]) as process:
        process.send_signal(signal.SIGCHLD)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) in {0, -signal.SIGTERM}  # it may be told before it listens


def test_no_path_of_the_builder_is_in_the_program(made: Made) -> None:
    program = layer_files(made)["pause"]
    assert str(made.tree).encode() not in program
    assert str(Path.home()).encode() + b"/go" not in program


def test_the_sbom_names_the_toolchain_and_the_executable(made: Made) -> None:
    index = json.loads((made.folder / "index.json").read_bytes())["manifests"]
    (sbom,) = [item for item in index if item["annotations"]["org.opencontainers.image.ref.name"] == "pause.sbom"]
    document = made.document(made.document(sbom["digest"])["layers"][0]["digest"])
    program = load_lock(made.release.with_suffix(".lock")).program("pause")
    found = {item["name"]: item for item in document["components"]}
    assert found["stdlib"]["version"] == program.toolchain
    assert found["pause"]["hashes"][0]["content"] == program.files["pause"].sha256


def test_an_edit_of_the_sources_is_not_built_under_the_old_lock(made: Made, tmp_path: Path) -> None:
    with (made.tree / "go/pause/main.go").open("a") as stream:
        stream.write("\n// edited\n")
    with pytest.raises(BuildError, match="not what was locked"):
        build_release(made.release, tmp_path / "bundle", cache=made.cache, stage=silent)
    assert not (tmp_path / "bundle").exists()
