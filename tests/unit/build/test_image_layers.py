"""Layers and image documents: equal trees, equal bytes; readers that are not ours read them."""

from __future__ import annotations

import io
import json
import os
import tarfile
from typing import TYPE_CHECKING

import pytest
import zstandard

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.recipe.image_documents import image_config, image_manifest
from airgap_bundle.build.recipe.recipe_file import Recipe
from airgap_bundle.build.rootfs.content import Data, Slice
from airgap_bundle.build.rootfs.layer import write_layer
from airgap_bundle.build.rootfs.tree import File, Folder, Link, Tree
from airgap_bundle.container_image import Platform, check_config, parse_image_manifest
from airgap_bundle.descriptor import MANIFEST_TYPE
from airgap_bundle.digest import sha256
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.build.rootfs.layer import Layer

LONG = "/".join(["a-folder-with-a-long-name"] * 8)


def sample() -> Tree:
    tree = Tree()
    tree.add("usr/bin/tool", File(Data(b"run" * 1000), 0o755), "sample")
    tree.add(f"{LONG}/naïve.txt", File(Data(b"text"), owner=65532), "sample")
    tree.add("usr/bin/other", Link("tool"), "sample")
    tree.add("tmp", Folder(0o1777), "sample")
    return tree


def write(tree: Tree, root: Path) -> Layer:
    return write_layer(tree.finish(), BuildCache(root), lambda _done, _total: None)


def opened(layer: Layer) -> tarfile.TarFile:
    data = zstandard.ZstdDecompressor().decompressobj().decompress(layer.blob.path.read_bytes())
    assert sha256(data).hex == layer.diff_id
    assert len(data) == layer.unpacked
    return tarfile.open(fileobj=io.BytesIO(data))


def test_a_layer_reads_back_as_the_tree_that_was_written(tmp_path: Path) -> None:
    with opened(write(sample(), tmp_path)) as archive:
        names = archive.getnames()
        tool, text, other, scratch = (
            archive.getmember(name) for name in ("usr/bin/tool", f"{LONG}/naïve.txt", "usr/bin/other", "tmp")
        )
        content = archive.extractfile(tool)
        assert content is not None
        assert content.read() == b"run" * 1000
    assert names == sorted(names)
    assert (tool.mode, text.uid, text.gid) == (0o755, 65532, 65532)
    assert (other.issym(), other.linkname, scratch.mode) == (True, "tool", 0o1777)
    assert {member.mtime for member in (tool, text, other, scratch)} == {0}
    assert {member.uname for member in (tool, text, other, scratch)} == {""}


def test_equal_trees_give_equal_bytes_whatever_the_surroundings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write(sample(), tmp_path / "first")
    monkeypatch.setenv("LC_ALL", "tr_TR.UTF-8")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    backwards = Tree()
    for path, node in reversed(sample().nodes.items()):
        backwards.add(path, node, "sample")
    before = os.umask(0o077)
    try:
        second = write(backwards, tmp_path / "second-in-a-longer-folder")
    finally:
        os.umask(before)
    assert (first.blob.sha256, first.diff_id) == (second.blob.sha256, second.diff_id)


def test_a_file_that_shrinks_while_it_is_read_stops_the_layer(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"abc")
    tree = Tree()
    tree.add("file", File(Slice(path, 0, 10)), "sample")
    with pytest.raises(BuildError, match="ends before"):
        write(tree, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.partial"))


def test_the_documents_are_read_by_the_reader_of_published_images(tmp_path: Path) -> None:
    layer = write(sample(), tmp_path)
    recipe = Recipe.model_validate(
        {
            "schema": 1,
            "title": "Tool",
            "licence": "MIT",
            "user": 65532,
            "writable": {"/tmp": "scratch files of the tool"},
            "entrypoint": ["/usr/bin/tool"],
            "layers": [{}],
        }
    )
    config = image_config(recipe, "1.0", [layer])
    manifest = parse_image_manifest(image_manifest(config, [layer]), MANIFEST_TYPE)
    check_config(json.loads(config), manifest, Platform("amd64"))
    settings = json.loads(config)["config"]
    assert settings["User"] == "65532:65532"
    assert settings["Labels"]["vnd.sovereign.image.writable"] == "/tmp"
    assert manifest.config.digest == sha256(config)
    assert [item.digest.hex for item in manifest.layers] == [layer.blob.sha256]
