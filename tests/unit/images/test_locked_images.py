"""The lock of images reads back as it was written, and a lock that says too little or too much is none."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.digest import sha256
from airgap_bundle.errors import LockError
from airgap_bundle.lock import ReleaseLock, dump_lock, load_lock
from airgap_bundle.locked_image import LockedImage, LockedSignature

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = str(sha256(b"manifest"))
BY_KEY = LockedSignature("bundle", DIGEST, key=DIGEST)
BY_IDENTITY = LockedSignature(
    "simple-signing", DIGEST, "", "somebody", "issuer", DIGEST, log_index=0, logged="2026-06-01T12:00:00Z"
)
IMAGE = LockedImage(
    "app",
    "registry.example/app:1",
    "linux/amd64",
    DIGEST,
    "application/vnd.oci.image.manifest.v1+json",
    DIGEST,
    7,
    DIGEST,
    (BY_KEY, BY_IDENTITY),
)


def write(path: Path, *images: dict[str, Any]) -> Path:
    value = {"schema": 1, "name": "n", "version": "1.0.0", "inputs": [], "compiled": [], "images": list(images)}
    path.write_text(json.dumps(value))
    return path


def test_a_lock_reads_back_as_it_was_written(tmp_path: Path) -> None:
    plain = replace(IMAGE, artifact="another", policy="", signatures=(), index="")
    lock = ReleaseLock("n", "1.0.0", images=(plain, IMAGE))
    (tmp_path / "release.lock").write_bytes(dump_lock(lock))
    assert load_lock(tmp_path / "release.lock") == lock
    assert load_lock(tmp_path / "release.lock").image("app") == IMAGE


def test_a_lock_without_images_is_spelled_as_ever(tmp_path: Path) -> None:
    data = dump_lock(ReleaseLock("n", "1.0.0"))
    assert b"images" not in data
    (tmp_path / "release.lock").write_bytes(data)
    with pytest.raises(LockError, match="no image for app"):
        load_lock(tmp_path / "release.lock").image("app")


WRONG: dict[str, dict[str, Any]] = {
    "no digest": {"digest": "sha256:abc"},
    "index that is none": {"index": "latest"},
    "no size": {"size": 0},
    "size that is a truth": {"size": True},
    "policy without signatures": {"signatures": []},
    "signatures without policy": {"policy": ""},
    "unknown form": {"signatures": [asdict(BY_KEY) | {"form": "notary"}]},
    "signature by nobody": {"signatures": [asdict(BY_KEY) | {"key": ""}]},
    "signature by two": {"signatures": [asdict(BY_IDENTITY) | {"key": DIGEST}]},
    "identity without issuer": {"signatures": [asdict(BY_IDENTITY) | {"issuer": ""}]},
    "log index that is text": {"signatures": [asdict(BY_IDENTITY) | {"log_index": "0"}]},
    "empty reference": {"image": ""},
    "field too many": {"note": "unreviewed"},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_lock_that_is_not_whole_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LockError):
        load_lock(write(tmp_path / "release.lock", asdict(IMAGE) | WRONG[name]))


def test_an_image_locked_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="locked twice"):
        load_lock(write(tmp_path / "release.lock", asdict(IMAGE), asdict(IMAGE)))
