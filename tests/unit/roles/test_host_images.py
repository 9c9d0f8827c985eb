"""A host's images are those of the release: verified, imported once, pinned, and brought back when they are lost."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.plugins import ANSIBLE
from tests.unit.roles.test_release_filters import image

PROGRAM = ANSIBLE / "roles/images/files/sovereign-images.py"
PINNED = "io.cri-containerd.pinned"


@dataclass(frozen=True)
class Host:
    """A folder with a layout and a containerd of its own."""

    folder: Path

    @property
    def layout(self) -> Path:
        return self.folder / "layout"

    def state(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "containerd.json").read_text()))

    def images(self) -> dict[str, Any]:
        return dict(self.state()["images"])

    def write(self, state: dict[str, Any]) -> None:
        (self.folder / "containerd.json").write_text(json.dumps(state))

    def index(self, **descriptors: dict[str, Any]) -> None:
        """Let the layout's index name these images, each as registry.example/NAME:v1."""
        manifests = [
            {**d, "annotations": {"io.containerd.image.name": f"registry.example/{name}:v1"}}
            for name, d in descriptors.items()
        ]
        (self.layout / "index.json").write_text(json.dumps({"manifests": manifests}))

    def former(self) -> None:
        """What the index says now is what a former release brought."""
        (self.layout / "index-before.json").write_bytes((self.layout / "index.json").read_bytes())

    def blobs(self) -> set[str]:
        return {path.name for path in (self.layout / "blobs/sha256").iterdir()}

    def run(self, status: int = 0, *more: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.folder}/bin:/usr/bin:/bin",
            "FAKE_CONTAINERD": str(self.folder / "containerd.json"),
        }
        argv = [sys.executable, str(PROGRAM), str(self.layout), *more]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        return done

    def changes(self) -> dict[str, list[str]]:
        return dict(json.loads(self.run().stdout))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "bin").mkdir()
    (tmp_path / "layout").mkdir()
    program = tmp_path / "bin/ctr"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("fake_ctr.py")} "$@"\n')
    program.chmod(0o755)
    return Host(tmp_path)


@pytest.fixture
def two(host: Host) -> dict[str, dict[str, Any]]:
    made = {"one": image(host.layout, b"base", b"one"), "two": image(host.layout, b"base", b"two")}
    host.index(**made)
    return made


def test_images_are_there_by_name_and_by_digest_and_pinned(host: Host, two: dict[str, dict[str, Any]]) -> None:
    assert host.changes() == {"imported": ["registry.example/one:v1", "registry.example/two:v1"], "removed": []}
    expected = {f"registry.example/{n}{s}" for n, d in two.items() for s in (":v1", f"@{d['digest']}")}
    assert set(host.images()) == expected
    assert {i["labels"].get(PINNED) for i in host.images().values()} == {"pinned"}


@pytest.mark.usefixtures("two")
def test_a_second_run_imports_nothing(host: Host) -> None:
    host.run()
    before = host.state()
    assert host.changes() == {"imported": [], "removed": []}
    assert host.state() == before


def test_only_the_image_that_was_lost_is_imported_again(host: Host, two: dict[str, dict[str, Any]]) -> None:
    host.run()
    state = host.state()
    for suffix in (":v1", f"@{two['one']['digest']}"):
        del state["images"][f"registry.example/one{suffix}"]
    host.write(state)
    assert host.changes() == {"imported": ["registry.example/one:v1"], "removed": []}
    assert len(host.state()["blobs"][-1]) == 2 + 4  # the layout, the index, and what this one image is made of


@pytest.mark.usefixtures("two")
def test_a_lost_pin_is_set_again(host: Host) -> None:
    host.run()
    state = host.state()
    state["images"]["registry.example/two:v1"]["labels"].pop(PINNED)
    host.write(state)
    assert host.changes() == {"imported": ["registry.example/two:v1"], "removed": []}
    assert host.images()["registry.example/two:v1"]["labels"][PINNED] == "pinned"
    assert len(host.state()["blobs"]) == 1


def test_the_next_release_s_images_replace_the_last_one_s(host: Host, two: dict[str, dict[str, Any]]) -> None:
    host.run()
    newer = image(host.layout, b"base", b"newer")
    host.index(one=newer, two=two["two"])
    old = f"registry.example/one@{two['one']['digest']}"
    assert host.changes() == {"imported": ["registry.example/one:v1"], "removed": [old]}
    assert host.images()["registry.example/one:v1"]["digest"] == newer["digest"]
    assert host.images()[old]["labels"] == {}


@pytest.mark.usefixtures("two")
def test_images_of_others_are_left_alone(host: Host) -> None:
    foreign = {"digest": f"sha256:{64 * 'e'}", "labels": {"theirs": "1"}}
    host.write({"images": {"elsewhere.example/x:v1": foreign}, "blobs": []})
    host.run()
    assert host.images()["elsewhere.example/x:v1"] == foreign


def test_a_changed_blob_is_refused_removed_and_nothing_is_imported(host: Host, two: dict[str, dict[str, Any]]) -> None:
    manifest = host.layout / "blobs/sha256" / two["two"]["digest"].removeprefix("sha256:")
    layer = json.loads(manifest.read_text())["layers"][1]["digest"].removeprefix("sha256:")
    (manifest.parent / layer).write_bytes(b"evil")
    refused = host.run(status=3)
    assert refused.stderr.splitlines() == [
        f"error: blob {layer} was changed; removed",
        "hint: run the installation again; it sends what is missing",
    ]
    assert not (manifest.parent / layer).exists()
    assert host.images() == {}


def test_a_missing_blob_is_named(host: Host, two: dict[str, dict[str, Any]]) -> None:
    digest = two["one"]["digest"].removeprefix("sha256:")
    (host.layout / "blobs/sha256" / digest).unlink()
    assert f"error: blob {digest} is missing" in host.run(status=3).stderr


def test_images_of_a_former_release_stay_pinned_until_the_way_from_it_is_whole(host: Host) -> None:
    """Under its own name by digest, also where its name by tag is another image's by now."""
    old, gone, new = (image(host.layout, data) for data in (b"old", b"gone", b"new"))
    host.index(app=old, left=gone)
    host.run()
    host.former()
    host.index(app=new)
    assert host.changes()["removed"] == []
    names = host.images()
    exact = f"registry.example/app@{old['digest']}"
    assert names["registry.example/app:v1"]["digest"] == new["digest"]
    assert {PINNED} <= set(names[exact]["labels"])
    assert {PINNED} <= set(names["registry.example/left:v1"]["labels"])
    (host.layout / "index-before.json").unlink()
    assert exact in host.changes()["removed"]


def test_blobs_go_only_when_an_installation_says_so_and_no_release_names_them(host: Host) -> None:
    old, new = (image(host.layout, data) for data in (b"old", b"new"))
    host.index(app=old)
    before = host.blobs()
    host.run()
    host.former()
    host.index(app=new)
    host.run(0, "--prune")
    assert host.blobs() == before
    (host.layout / "index-before.json").unlink()
    host.run()
    assert host.blobs() == before
    host.run(0, "--prune")
    assert host.blobs() < before
    assert host.changes() == {"imported": [], "removed": []}
