"""Signatures as cosign leaves them at a real registry: checked when locking, written into lock and SBOM, or refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from airgap_bundle.build.release import build_release, lock_release
from airgap_bundle.build.stage import silent
from airgap_bundle.descriptor import INDEX_TYPE, MANIFEST_TYPE
from airgap_bundle.digest import sha256
from airgap_bundle.errors import LockError, SignatureError, UnsignedError
from airgap_bundle.lock import load_lock
from tests.bundles import tree as bytes_of
from tests.image_signatures import (
    BUNDLE_TYPE,
    bundle,
    bundle_manifest,
    by_key,
    by_leaf,
    payload,
    simple_manifest,
    statement,
)
from tests.images import Pusher, SmallImage, descriptor, to_json
from tests.sigstore_instance import IDENTITY, ISSUER, Instance, new_key, spki

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.digest import Digest
    from airgap_bundle.locked_image import LockedImage
    from tests.integration.images.conftest import Tree

IDENTIFIED = {"identity": IDENTITY, "issuer": ISSUER, "trusted_root": "root.json"}


def lock(tree: Tree, *relock: str) -> LockedImage:
    return lock_release(tree.release, cache=tree.cache, stage=silent, relock=relock)[0].images[0]


def sign_simply(pusher: Pusher, digest: Digest, *signatures: tuple[bytes, dict[str, str]]) -> None:
    """Under the tag `sha256-<hex>.sig`."""
    manifest = to_json(simple_manifest(pusher, signatures))
    pusher.manifest(manifest, MANIFEST_TYPE, f"sha256-{digest.hex}.sig")


def refer(pusher: Pusher, digest: Digest, value: dict[str, Any]) -> None:
    """Under the tag of referrers: this registry keeps no list of them."""
    manifest = to_json(bundle_manifest(pusher, digest, value))
    pusher.manifest(manifest, MANIFEST_TYPE)
    entry = descriptor(manifest, MANIFEST_TYPE, artifactType=BUNDLE_TYPE)
    listing = to_json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry]})
    pusher.manifest(listing, INDEX_TYPE, f"sha256-{digest.hex}")


def properties(folder: Path) -> dict[str, str]:
    """What the image's SBOM says beside name and digest."""
    index = json.loads((folder / "index.json").read_bytes())
    names = {item["annotations"]["org.opencontainers.image.ref.name"]: item["digest"] for item in index["manifests"]}
    blobs = folder / "blobs/sha256"
    manifest = json.loads((blobs / names["small.sbom"].removeprefix("sha256:")).read_bytes())
    document = json.loads((blobs / manifest["layers"][0]["digest"].removeprefix("sha256:")).read_bytes())
    return {item["name"]: item["value"] for item in document["components"][0]["properties"]}


def test_a_signature_by_a_key_is_written_into_the_lock(registry: str, tree: Tree) -> None:
    pusher, image, key = Pusher(registry, "signed/by-key"), SmallImage(), new_key()
    digest = pusher.image(image, "1")
    data = payload(digest, pusher.name)
    sign_simply(pusher, digest, (data, by_key(key, data)))
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tree.folder / "upstream.pub").write_bytes(pem)
    tree.write({"name": "small", "image": f"{pusher.name}:1", "signatures": {"key": "upstream.pub"}})
    (found,) = lock(tree).signatures
    assert (found.form, found.digest, found.key) == ("simple-signing", digest, sha256(spki(key)))
    assert load_lock(tree.folder / "release.lock").images[0].signatures == (found,)


def test_a_signature_by_an_identity_on_the_index_is_written_into_lock_and_sbom(
    registry: str, tree: Tree, tmp_path: Path
) -> None:
    pusher, instance = Pusher(registry, "signed/by-identity"), Instance()
    index = pusher.index([SmallImage()], "1")
    refer(pusher, index, bundle(instance, instance.leaf(), statement(index)))
    data, leaf = payload(index, f"{pusher.name}:1"), instance.leaf()
    sign_simply(pusher, index, (data, by_leaf(instance, leaf, data)))
    (tree.folder / "root.json").write_bytes(instance.trusted_root())
    tree.write({"name": "small", "image": f"{pusher.name}:1", "signatures": IDENTIFIED})
    locked = lock(tree)
    assert [(item.form, item.digest) for item in locked.signatures] == [("bundle", index), ("simple-signing", index)]
    assert all((item.identity, item.issuer, item.log_index) == (IDENTITY, ISSUER, 7) for item in locked.signatures)
    build_release(tree.release, tmp_path / "bundle", cache=tree.cache, stage=silent)
    said = properties(tmp_path / "bundle")
    assert said["sovereign:image:index"] == index
    assert said["sovereign:image:signature:0:identity"] == IDENTITY
    assert said["sovereign:image:signature:0:issuer"] == ISSUER
    assert said["sovereign:image:signature:0:log-index"] == "7"
    assert said["sovereign:image:signature:1:certificate"] == sha256(leaf.certificate.public_bytes(Encoding.DER))


def test_an_image_that_is_not_signed_as_asked_for_leaves_no_lock(registry: str, tree: Tree) -> None:
    pusher, instance = Pusher(registry, "signed/not"), Instance()
    digest = pusher.image(SmallImage(), "1")
    (tree.folder / "root.json").write_bytes(instance.trusted_root())
    tree.write({"name": "small", "image": f"{pusher.name}:1", "signatures": IDENTIFIED})
    with pytest.raises(UnsignedError, match="is not signed"):
        lock(tree)
    leaf = instance.leaf(IDENTITY.replace("team", "fork"))
    refer(pusher, digest, bundle(instance, leaf, statement(digest)))
    with pytest.raises(SignatureError, match="SANs do not match"):
        lock(tree)
    assert tree.kept() == set()
    assert not (tree.folder / "release.lock").exists()


def test_a_tag_that_moved_to_an_unsigned_image_leaves_the_lock_as_it_was(registry: str, tree: Tree) -> None:
    pusher, instance = Pusher(registry, "signed/moved"), Instance()
    digest = pusher.image(SmallImage("first"), "1")
    refer(pusher, digest, bundle(instance, instance.leaf(), statement(digest)))
    (tree.folder / "root.json").write_bytes(instance.trusted_root())
    tree.write({"name": "small", "image": f"{pusher.name}:1", "signatures": IDENTIFIED})
    lock(tree)
    pusher.image(SmallImage("second"), "1")
    before = bytes_of(tree.folder)
    with pytest.raises(UnsignedError):
        lock(tree, "small")
    assert bytes_of(tree.folder) == before


def test_another_policy_than_was_locked_is_not_built_until_it_is_locked(
    registry: str, tree: Tree, tmp_path: Path
) -> None:
    """Asking for a signature after the fact, or for another signer, is not met by an older lock."""
    pusher, instance = Pusher(registry, "signed/later"), Instance()
    digest = pusher.image(SmallImage(), "1")
    tree.write({"name": "small", "image": f"{pusher.name}:1"})
    assert lock(tree).signatures == ()
    (tree.folder / "root.json").write_bytes(instance.trusted_root())
    tree.write({"name": "small", "image": f"{pusher.name}:1", "signatures": IDENTIFIED})
    with pytest.raises(LockError, match="asks for another image, platform or signatures"):
        build_release(tree.release, tmp_path / "bundle", cache=tree.cache, stage=silent)
    with pytest.raises(UnsignedError):
        lock(tree)
    refer(pusher, digest, bundle(instance, instance.leaf(), statement(digest)))
    assert len(lock(tree).signatures) == 1
    (tree.folder / "root.json").write_bytes(Instance().trusted_root())
    with pytest.raises(LockError, match="asks for another image, platform or signatures"):
        build_release(tree.release, tmp_path / "bundle", cache=tree.cache, stage=silent)
    with pytest.raises(SignatureError, match="does not verify"):
        lock(tree)
    assert not (tmp_path / "bundle").exists()
