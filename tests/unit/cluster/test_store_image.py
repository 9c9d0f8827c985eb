"""The store's image holds what the gate reads of a release, byte by byte, and is the same at every making."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.archive import extract
from airgap_bundle.errors import StoreError
from airgap_bundle.store import Store
from appliance.cluster import store_image
from appliance.cluster.staging import stage_release
from tests.unit.cluster.releases import store_of

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.cluster.store_image import StoreImage

MODELS = ("host-programs",)  # any artifact with files will do for its bytes


def made(root: Path, models: tuple[str, ...] = MODELS) -> StoreImage:
    site = root / "site"
    store = Store((site if site.exists() else store_of(root).store.parent) / "store")
    return store_image.make(store, "1.0.0", models, root / "image")


def layer_of(image: StoreImage) -> tuple[Path, dict[str, object]]:
    manifest = json.loads(image.blobs[image.digest.removeprefix("sha256:")].read_bytes())
    config = json.loads(image.blobs[manifest["config"]["digest"].removeprefix("sha256:")].read_bytes())
    return image.blobs[manifest["layers"][0]["digest"].removeprefix("sha256:")], config


def test_the_release_opens_from_the_image_as_it_does_from_the_store(tmp_path: Path) -> None:
    layer, config = layer_of(made(tmp_path))
    assert config["rootfs"] == {"type": "layers", "diff_ids": [f"sha256:{layer.name}"]}
    with layer.open("rb") as tar:
        extract(tar, tmp_path / "mounted")
    mounted = Store(tmp_path / "mounted" / store_image.FOLDER)
    release = mounted.open_release("1.0.0")
    assert release.signers == Store(tmp_path / "site/store").open_release("1.0.0").signers
    for file in release.artifacts["host-programs"].files.values():
        with file.open() as stream:
            assert stream.read()
    with pytest.raises(StoreError), release.artifacts["chart"].files["chart.tar"].open():
        pass


def test_every_blob_has_the_digest_that_names_it(tmp_path: Path) -> None:
    for name, path in made(tmp_path).blobs.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == name


def test_another_making_gives_the_same_and_other_models_another(tmp_path: Path) -> None:
    first = made(tmp_path)
    assert made(tmp_path) == first
    other = made(tmp_path, ("host-programs", "chart"))
    assert other.digest != first.digest
    assert {path.name for path in (tmp_path / "image").iterdir()} == {*other.blobs, "layer.json"}


def test_a_layer_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    first = made(tmp_path)
    layer, _ = layer_of(first)
    layer.write_bytes(layer.read_bytes()[:-1])
    assert made(tmp_path) == first
    assert hashlib.sha256(layer.read_bytes()).hexdigest() == layer.name


def test_the_layout_lists_it_beside_the_release_s_images(tmp_path: Path) -> None:
    store = Store(store_of(tmp_path).store)
    parts = stage_release(store, "1.0.0", tmp_path / "staged", MODELS)
    index = json.loads((parts.layout / "index.json").read_text())
    named = {m["annotations"]["io.containerd.image.name"]: m["digest"] for m in index["manifests"]}
    digest = named["sovereign.internal/site-store:1.0.0"]
    assert parts.images["site-store"] == f"sovereign.internal/site-store@{digest}"
    for path in (parts.layout / "blobs/sha256").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    assert "site-store" not in stage_release(store, "1.0.0", tmp_path / "staged").images
