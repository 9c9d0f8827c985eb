"""Attacks through an image in a bundle that enough persons signed: only the reader is left to refuse, and it does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.container_image import DOCKER_MANIFEST_TYPE
from airgap_bundle.descriptor import INDEX_TYPE, MANIFEST_TYPE
from airgap_bundle.digest import sha256
from airgap_bundle.errors import (
    DigestMismatchError,
    FormatError,
    MalformedError,
    MissingFileError,
    SigningError,
    UnlistedFileError,
    VerificationError,
)
from airgap_bundle.sign import sign_bundle
from tests.bundles import NOW, Draft, Site, blob_file, make, reseal, rewrite, root_bytes, sign, signer
from tests.images import DOCKER_TYPES, OCI_TYPES, SmallImage, add_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Beside the image: no wheelhouse, so that nothing but the metadata must be signed anew.
OTHERS = {"policy": {"models.yaml": b"schema: 1\n"}}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "site").mkdir()
    return Site(tmp_path / "site")


def forged(tmp_path: Path, image: SmallImage, **annotations: str) -> Path:
    """A sealed bundle with ``image`` in it, signed by the keys of two persons without the checks that signing makes."""
    bundle = Draft(files=OTHERS).write(tmp_path / "evil")
    add_image(bundle, "small", image, **annotations)
    honest = make(tmp_path / "honest", files=OTHERS)
    (honest / "metadata").rename(bundle / "metadata")
    resign(bundle)
    return bundle


def refuses(site: Site, bundle: Path, match: str, error: type[VerificationError] = MalformedError) -> None:
    site.refuses(bundle, error, match=match, pin=root_bytes())


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker schema 2"])
def test_an_image_as_upstream_made_it_is_accepted(site: Site, tmp_path: Path, *, docker: bool) -> None:
    bundle = forged(tmp_path, SmallImage(docker=docker))
    assert site.install(bundle, pin=root_bytes()).artifacts["small"].kind == "image"


def with_layer(image: SmallImage, **fields: Any) -> None:
    image.manifest["layers"][0] |= fields


FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
CHANGES: dict[str, tuple[Callable[[SmallImage], None], str]] = {
    "layer by address": (lambda image: with_layer(image, urls=["https://example.invalid/layer"]), "addresses"),
    "layer in the manifest": (lambda image: with_layer(image, data="aGVsbG8="), "embeds content"),
    "foreign layer": (lambda image: with_layer(image, mediaType=FOREIGN), "only whole tar layers travel"),
    "nondistributable layer": (lambda image: with_layer(image, mediaType=NONDISTRIBUTABLE), "only whole tar layers"),
    "mixed families": (lambda image: with_layer(image, mediaType=DOCKER_TYPES["layer"]), "only whole tar layers"),
    "config of another family": (
        lambda image: image.manifest["config"].update(mediaType=DOCKER_TYPES["config"]),
        "config of an image is of type",
    ),
    "config that is none": (
        lambda image: image.manifest["config"].update(mediaType="application/vnd.oci.empty.v1+json"),
        "config of an image is of type",
    ),
    "an index as well": (lambda image: image.manifest.update(manifests=[]), "something else besides"),
    "a schema 1 manifest as well": (lambda image: image.manifest.update(fsLayers=[]), "something else besides"),
    "an artifact as well": (lambda image: image.manifest.update(artifactType="x/y"), "something else besides"),
    "a referrer as well": (lambda image: image.manifest.update(subject={}), "something else besides"),
    "media type of an index": (lambda image: image.manifest.update(mediaType=INDEX_TYPE), "says that it is"),
    "media type of the other family": (
        lambda image: image.manifest.update(mediaType=DOCKER_MANIFEST_TYPE),
        "says that it is",
    ),
    "no layers": (lambda image: image.manifest.update(layers=[]), "1 to 512 layers"),
    "layers without number": (
        lambda image: image.manifest.update(layers=image.manifest["layers"][:1] * 513),
        "1 to 512 layers",
    ),
    "one digest, two sizes": (
        lambda image: image.manifest["layers"].append(image.manifest["layers"][0] | {"size": 1}),
        "two sizes",
    ),
    "another schema version": (lambda image: image.manifest.update(schemaVersion=1), "says that it is"),
    "config for another architecture": (lambda image: image.configure(architecture="s390x"), "is for linux/s390x"),
    "config that steers a terminal": (lambda image: image.configure(architecture="\x1b[2J"), r"is for linux/\?\[2J"),
    "config for another system": (lambda image: image.configure(os="windows"), "is for windows/amd64"),
    "config without layers": (lambda image: image.configure(rootfs={"type": "layers", "diff_ids": []}), "not describe"),
    "config with a layer too many": (
        lambda image: image.configure(rootfs={"type": "layers", "diff_ids": [str(sha256(b""))] * 3}),
        "does not describe the layers",
    ),
    "config with digests that are none": (
        lambda image: image.configure(rootfs={"type": "layers", "diff_ids": ["sha256:../x", "y"]}),
        "not a sha256 digest",
    ),
    "config beyond its cap": (lambda image: image.manifest["config"].update(size=5 << 20), "exceeds"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_image_that_is_not_what_it_should_be_is_refused_though_it_is_signed(
    site: Site, tmp_path: Path, name: str
) -> None:
    change, reason = CHANGES[name]
    image = SmallImage()
    change(image)
    refuses(site, forged(tmp_path, image), reason)


def test_a_manifest_with_a_key_twice_is_refused(site: Site, tmp_path: Path) -> None:
    """Two readers would see two images."""

    class Twice(SmallImage):
        @property
        def data(self) -> bytes:
            return super().data[:-2] + b',"layers":[]}'

    refuses(site, forged(tmp_path, Twice()), "twice")


@pytest.mark.parametrize("platform", ["", "linux/arm64", "windows/amd64", "linux/amd64/v99999", "linux/../amd64"])
def test_a_platform_that_the_index_does_not_say_or_the_image_does_not_have_is_refused(
    site: Site, tmp_path: Path, platform: str
) -> None:
    bundle = forged(tmp_path, SmallImage(), **{"vnd.sovereign.image.platform": platform})
    refuses(site, bundle, "platform|is for")


def test_an_index_digest_that_is_none_is_refused(site: Site, tmp_path: Path) -> None:
    bundle = forged(tmp_path, SmallImage(), **{"vnd.sovereign.image.index": "../../etc/shadow"})
    refuses(site, bundle, "not a sha256 digest")


def test_a_source_that_could_steer_a_terminal_is_refused(site: Site, tmp_path: Path) -> None:
    bundle = forged(tmp_path, SmallImage(), **{"vnd.sovereign.image.source": "registry.example/app:1\x1b[2J"})
    refuses(site, bundle, "no image reference")


def test_a_foreign_manifest_does_not_pass_for_another_kind_of_artifact(site: Site, tmp_path: Path) -> None:
    """Only an image may lack what section 4 asks of manifests, and it says so in the signed index."""
    bundle = forged(tmp_path, SmallImage())
    index = json.loads((bundle / "index.json").read_bytes())
    index["manifests"][-1]["artifactType"] = "application/vnd.sovereign.policy.v1"
    (bundle / "index.json").write_bytes(json.dumps(index).encode())
    release = json.loads((bundle / "release.json").read_bytes())
    release["artifacts"][-1]["kind"] = "policy"
    (bundle / "release.json").write_bytes(json.dumps(release).encode())
    resign(bundle)
    refuses(site, bundle, "artifactType is no text")


def resign(bundle: Path) -> None:
    def describe(signed: dict[str, Any]) -> None:
        for name in ("index.json", "release.json"):
            data = (bundle / name).read_bytes()
            signed["targets"][name] = {"length": len(data), "hashes": {"sha256": sha256(data).hex}}

    rewrite(bundle / "metadata/targets.json", describe, "architect", "builder")
    reseal(bundle)


def test_a_layer_that_is_missing_changed_or_added_is_refused(site: Site, tmp_path: Path) -> None:
    image = SmallImage()
    bundle = forged(tmp_path, image)
    layer = blob_file(bundle, sha256(list(image.blobs.values())[-1]))
    data = layer.read_bytes()
    layer.unlink()
    refuses(site, bundle, "is not there|missing", MissingFileError)
    layer.write_bytes(data[:-1] + b"x")
    refuses(site, bundle, "other bytes", DigestMismatchError)
    layer.write_bytes(data)
    blob_file(bundle, sha256(b"more")).write_bytes(b"more")
    refuses(site, bundle, sha256(b"more").hex, UnlistedFileError)


def test_nobody_signs_an_image_that_is_not_what_it_should_be(tmp_path: Path) -> None:
    image = SmallImage()
    with_layer(image, mediaType=FOREIGN)
    bundle = Draft().write(tmp_path / "evil")
    add_image(bundle, "small", image)
    with pytest.raises((SigningError, FormatError, VerificationError), match="only whole tar layers travel"):
        sign_bundle(bundle, signer("architect"), now=NOW, roots={1: root_bytes()})
    assert not (bundle / "metadata").exists()


def test_layers_of_either_kind_are_named_by_number_not_by_what_upstream_wrote(site: Site, tmp_path: Path) -> None:
    image = SmallImage()
    title = {"annotations": {"org.opencontainers.image.title": "../../etc/passwd"}}
    for layer in image.manifest["layers"]:
        layer.update(title)
    bundle = Draft().write(tmp_path / "bundle")
    add_image(bundle, "small", image)
    sign(bundle, "architect", "builder", "release", roots={1: root_bytes()})
    stored = site.install(bundle, pin=root_bytes()).artifacts["small"]
    assert list(stored.files) == ["layer-001", "layer-002"]
    assert image.media_type == MANIFEST_TYPE
    assert {file.media_type for file in stored.files.values()} == {OCI_TYPES["layer"]}
