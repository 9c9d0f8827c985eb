"""What release.yaml may say of an image, and that the reference says all of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from airgap_bundle.build.signature_policy import policy_digest
from airgap_bundle.errors import LockError
from airgap_bundle.image_artifacts import IdentitySignature, ImageArtifact, KeySignature
from airgap_bundle.locked_image import LockedImage, LockedSignature
from airgap_bundle.release_file import load_release

if TYPE_CHECKING:
    from airgap_bundle.release_file import ReleaseFile

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "release.md"
IMAGE = {"kind": "image", "name": "app", "image": "registry.example/app:1", "platform": "linux/amd64"}
IDENTIFIED = {"identity": "somebody", "issuer": "issuer", "trusted_root": "root.json"}


def load(folder: Path, **fields: Any) -> ReleaseFile:
    value = {
        "schema": 1,
        "name": "images",
        "version": "1.0.0",
        "number": 1,
        "min_release": 1,
        "support_until": "2030-01-31",
        "source_date": "2026-01-01",
        "artifacts": [IMAGE | fields],
    }
    (folder / "release.yaml").write_text(yaml.safe_dump(value))
    return load_release(folder / "release.yaml")


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"image": "app:1"}, "no image reference"),
        ({"image": "app/app:1"}, "names no registry"),
        ({"image": "registry.example/app"}, "neither tag nor digest"),
        ({"image": "user:word@registry.example/app:1"}, "no image reference"),
        ({"platform": "amd64"}, "no platform"),
        ({"platform": "windows/amd64"}, "no platform"),
        ({"signatures": {}}, "key"),
        ({"signatures": {"key": "k", **IDENTIFIED}}, "signatures"),
        ({"signatures": IDENTIFIED | {"issuer": ""}}, "issuer"),
        ({"signatures": {"identity": "somebody"}}, "issuer"),
        ({"signatures": {"key": "k", "signed_as": "app"}}, "signed_as"),
        ({"signatures": {"key": "k", "signed_as": "registry.example/app:1"}}, "signed_as"),
        ({"insecure": True}, "insecure"),
        ({"password": "word"}, "password"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, fields: dict[str, Any], cause: str) -> None:
    with pytest.raises(LockError, match=cause):
        load(tmp_path, **fields)


def test_another_key_root_identity_or_name_is_another_policy(tmp_path: Path) -> None:
    digests = []
    for text, signatures in (
        ("one", IDENTIFIED),
        ("two", IDENTIFIED),
        ("one", IDENTIFIED | {"identity": "somebody else"}),
        ("one", IDENTIFIED | {"issuer": "another"}),
        ("one", IDENTIFIED | {"signed_as": "upstream.example/app"}),
    ):
        (tmp_path / "root.json").write_text(text)
        (spec,) = load(tmp_path, signatures=signatures).artifacts
        assert isinstance(spec, ImageArtifact)
        digests.append(policy_digest(spec, tmp_path))
    assert len(set(digests)) == len(digests)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    (spec,) = load(tmp_path, signatures=IDENTIFIED).artifacts
    assert isinstance(spec, ImageArtifact)
    with pytest.raises(LockError, match=r"root\.json: no such file"):
        policy_digest(spec, tmp_path)


def test_the_reference_page_describes_every_field() -> None:
    page = REFERENCE.read_text()
    names = [name for model in (ImageArtifact, KeySignature, IdentitySignature) for name in model.model_fields]
    names += [field.name for record in (LockedImage, LockedSignature) for field in dataclasses.fields(record)]
    assert [name for name in names if f"`{name}`" not in page] == []
