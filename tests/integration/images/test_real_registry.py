"""Images of a real registry: locked by digest, built byte for byte, whatever happens to the tag afterwards."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.build.release import build_release, lock_release
from airgap_bundle.build.stage import silent
from airgap_bundle.digest import sha256
from airgap_bundle.errors import BuildError, LockError, RegistryError
from airgap_bundle.inspection import inspect_bundle
from airgap_bundle.lock import load_lock
from airgap_bundle.trust_state import TrustState
from airgap_bundle.verify import verify
from tests.bundles import NOW, Site, root_bytes, sign, trust
from tests.images import Pusher, SmallImage, index_of
from tests.integration.images.distribution import running_registry
from tests.integration.images.token_service import TokenService

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.images.conftest import Tree

# htpasswd's bcrypt spelling of "builder" with the password "read-only-of-tests".
HTPASSWD = "builder:$2b$05$0jXJ/DtLiofhyVPDFrnil.A8hZNAk48/vvfctD/erTAAeheQM0xf6"


def lock(tree: Tree, *relock: str) -> tuple[Any, tuple[str, ...]]:
    return lock_release(tree.release, cache=tree.cache, stage=silent, relock=relock)


def build(tree: Tree, dest: Path) -> Path:
    build_release(tree.release, dest, cache=tree.cache, stage=silent)
    return dest


def blob(bundle: Path, digest: str) -> bytes:
    return (bundle / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()


def listed(bundle: Path, name: str) -> dict[str, Any]:
    entries = json.loads((bundle / "index.json").read_bytes())["manifests"]
    return next(item for item in entries if item["annotations"]["org.opencontainers.image.ref.name"] == name)


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker schema 2"])
def test_an_image_is_locked_built_signed_verified_and_imported_byte_for_byte(
    registry: str, tree: Tree, tmp_path: Path, *, docker: bool
) -> None:
    pusher, image = Pusher(registry, f"whole/docker-{docker}".lower()), SmallImage(docker=docker)
    pusher.image(image, "1.0")
    tree.write({"name": "small", "image": f"{pusher.name}:1.0"})
    made, changes = lock(tree)
    assert changes == (f"added image small {image.digest}",)
    assert (made.images[0].digest, made.images[0].size, made.images[0].index) == (image.digest, len(image.data), "")
    bundle = build(tree, tmp_path / "bundle")
    entry = listed(bundle, "small")
    assert entry["mediaType"] == image.media_type
    assert blob(bundle, entry["digest"]) == image.data
    assert all(blob(bundle, digest) == data for digest, data in image.blobs.items())
    sign(bundle, "architect", "builder", "release", roots={1: root_bytes()})
    assert verify(bundle, trust(), now=NOW).ok
    (tmp_path / "site").mkdir()
    stored = Site(tmp_path / "site").install(bundle, pin=root_bytes()).artifacts["small"]
    assert (stored.kind, stored.version, stored.digest) == ("image", "1.0", image.digest)
    assert list(stored.files) == ["layer-001", "layer-002"]
    (shown,) = inspect_bundle(bundle, TrustState.expecting(None), now=datetime.now(UTC)).to_json()["artifacts"]
    assert list(shown["files"]) == ["layer-001", "layer-002"]
    assert shown["image"] == {"source": f"{pusher.name}:1.0", "platform": "linux/amd64"}


def test_of_an_index_only_the_chosen_platform_travels_and_the_index_is_recorded(
    registry: str, tree: Tree, tmp_path: Path
) -> None:
    pusher = Pusher(registry, "index/small")
    images = [SmallImage(architecture=name) for name in ("amd64", "arm64")]
    index = pusher.index(images, "2.0")
    tree.write({"name": "small", "image": f"{pusher.name}:2.0", "platform": "linux/arm64"})
    (locked,) = lock(tree)[0].images
    assert (locked.digest, locked.index) == (images[1].digest, index)
    bundle = build(tree, tmp_path / "bundle")
    assert listed(bundle, "small")["annotations"]["vnd.sovereign.image.index"] == index
    names = {path.name for path in (bundle / "blobs/sha256").iterdir()}
    assert images[1].digest.hex in names
    assert not {index.hex, images[0].digest.hex} & names


def test_a_platform_that_the_index_lacks_is_refused_with_those_it_has(registry: str, tree: Tree) -> None:
    pusher = Pusher(registry, "lacking/small")
    pusher.index([SmallImage()], "1")
    tree.write({"name": "small", "image": f"{pusher.name}:1", "platform": "linux/riscv64"})
    with pytest.raises(LockError, match=r"0 images for linux/riscv64; it has linux/amd64"):
        lock(tree)
    assert not (tree.folder / "release.lock").exists()


def test_an_image_for_another_platform_without_an_index_is_refused(registry: str, tree: Tree) -> None:
    pusher = Pusher(registry, "single/small")
    pusher.image(SmallImage(architecture="arm64"), "1")
    tree.write({"name": "small", "image": f"{pusher.name}:1"})
    with pytest.raises(LockError, match="config is for linux/arm64, not for linux/amd64"):
        lock(tree)


def test_a_tag_that_moved_is_told_and_what_was_locked_is_built(registry: str, tree: Tree, tmp_path: Path) -> None:
    pusher, first, second = Pusher(registry, "moved/small"), SmallImage("first"), SmallImage("second")
    pusher.image(first, "1.0")
    tree.write({"name": "small", "image": f"{pusher.name}:1.0"})
    lock(tree)
    before = (tree.folder / "release.lock").read_bytes()
    pusher.image(second, "1.0")
    _, changes = lock(tree)
    assert changes == (f"image small stays {first.digest}; its tag 1.0 moved to {second.digest} (--relock small)",)
    assert (tree.folder / "release.lock").read_bytes() == before
    assert listed(build(tree, tmp_path / "bundle"), "small")["digest"] == first.digest
    made, changes = lock(tree, "small")
    assert made.images[0].digest == second.digest
    assert changes == (f"changed image small: from {first.digest} to {second.digest}",)


def test_a_digest_is_fetched_whatever_tag_stands_beside_it(registry: str, tree: Tree) -> None:
    pusher, image = Pusher(registry, "pinned/small"), SmallImage("pinned")
    pusher.image(image)
    tree.write({"name": "small", "image": f"{pusher.name}:never-pushed@{image.digest}"})
    assert lock(tree)[0].images[0].digest == image.digest


def test_equal_locks_give_equal_bundles_from_an_empty_cache_too(registry: str, tree: Tree, tmp_path: Path) -> None:
    pusher = Pusher(registry, "equal/small")
    pusher.image(SmallImage(), "1")
    tree.write({"name": "small", "image": f"{pusher.name}:1"})
    lock(tree)
    first = (build(tree, tmp_path / "a") / "index.json").read_bytes()
    for path in (tree.cache.root / "inputs" / "sha256").iterdir():
        path.unlink()
    assert (build(tree, tmp_path / "b") / "index.json").read_bytes() == first


def test_two_artifacts_that_are_one_image_are_refused(registry: str, tree: Tree, tmp_path: Path) -> None:
    pusher = Pusher(registry, "twice/small")
    pusher.image(SmallImage(), "1")
    tree.write(*({"name": name, "image": f"{pusher.name}:1"} for name in ("one", "two")))
    lock(tree)
    with pytest.raises(BuildError, match="two and one are the same image"):
        build(tree, tmp_path / "bundle")


def test_a_release_that_asks_for_another_tag_than_was_locked_is_not_built(
    registry: str, tree: Tree, tmp_path: Path
) -> None:
    pusher = Pusher(registry, "other-tag/small")
    pusher.image(SmallImage(), "1")
    tree.write({"name": "small", "image": f"{pusher.name}:1"})
    lock(tree)
    tree.write({"name": "small", "image": f"{pusher.name}:2"})
    with pytest.raises(LockError, match="asks for another image, platform or signatures"):
        build(tree, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_the_sbom_names_the_image_by_digest_platform_and_upstreams_labels(
    registry: str, tree: Tree, tmp_path: Path
) -> None:
    pusher, image = Pusher(registry, "sbom/small"), SmallImage()
    pusher.image(image, "1")
    tree.write({"name": "small", "image": f"{pusher.name}:1"})
    lock(tree)
    bundle = build(tree, tmp_path / "bundle")
    manifest = json.loads(blob(bundle, listed(bundle, "small.sbom")["digest"]))
    assert manifest["subject"]["digest"] == image.digest
    (component,) = json.loads(blob(bundle, manifest["layers"][0]["digest"]))["components"]
    assert component["type"] == "container"
    assert component["hashes"] == [{"alg": "SHA-256", "content": image.digest.hex}]
    assert component["purl"].startswith(f"pkg:oci/small@sha256:{image.digest.hex}?arch=amd64&")
    assert component["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    properties = {item["name"]: item["value"] for item in component["properties"]}
    assert properties["sovereign:image:platform"] == "linux/amd64"
    assert properties["sovereign:image:label:org.opencontainers.image.title"] == "small"
    assert not [name for name in properties if "unprinted" in name]


def test_a_lock_without_its_registry_keeps_what_is_locked_and_says_so(
    registry: str, tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airgap_bundle.build.registry.ATTEMPTS", 1)
    with running_registry(tmp_path) as host:
        pusher, image = Pusher(host, "gone/small"), SmallImage()
        pusher.image(image, "1")
        tree.write({"name": "small", "image": f"{pusher.name}:1"})
        lock(tree)
    made, (note,) = lock(tree)
    assert made.images[0].digest == image.digest
    assert "whether its tag moved is unknown" in note
    assert registry != host


def test_credentials_come_from_the_clients_own_file(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "htpasswd").write_text(HTPASSWD + "\n")
    auth = {"htpasswd": {"realm": "tests", "path": str(tmp_path / "htpasswd")}}
    with running_registry(tmp_path, auth) as host:
        pusher = Pusher(host, "private/small", ("builder", "read-only-of-tests"))
        pusher.image(SmallImage(), "1")
        tree.write({"name": "small", "image": f"{pusher.name}:1"})
        with pytest.raises(RegistryError, match="asks for a user and a password"):
            lock(tree)
        pair = base64.b64encode(b"builder:read-only-of-tests").decode()
        (tmp_path / "auth.json").write_text(json.dumps({"auths": {host: {"auth": pair}}}))
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
        lock(tree)
        build(tree, tmp_path / "bundle")
    written = (tree.folder / "release.lock").read_text() + (tmp_path / "bundle" / "index.json").read_text()
    assert pair not in written
    assert "read-only-of-tests" not in written


def test_a_token_is_asked_for_pulling_from_one_repository_and_nothing_else(tree: Tree, tmp_path: Path) -> None:
    with TokenService(tmp_path) as service, running_registry(tmp_path, {"token": service.settings}) as host:
        image = SmallImage()
        service.push(host, "guarded/small", image, "1")
        tree.write({"name": "small", "image": f"{host}/guarded/small:1"})
        service.scopes.clear()
        lock(tree)
        build(tree, tmp_path / "bundle")
        assert load_lock(tree.folder / "release.lock").images[0].digest == image.digest
    assert set(service.scopes) == {"repository:guarded/small:pull"}


def test_what_is_pushed_as_an_index_is_what_we_say_it_is() -> None:
    """The double's own spelling: an index of one image names that image."""
    image = SmallImage()
    assert json.loads(index_of([image]))["manifests"][0]["digest"] == sha256(image.data)
