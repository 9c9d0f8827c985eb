"""What is asked of signatures on one image, and that a refusal changes nothing at the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airgap_bundle.build.signature_check import check_signatures
from airgap_bundle.build.signature_policy import read_policy
from airgap_bundle.digest import sha256
from airgap_bundle.errors import SignatureError
from airgap_bundle.image_artifacts import ImageArtifact
from airgap_bundle.image_reference import parse_reference

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.build.signature_policy import Policy
    from airgap_bundle.locked_image import LockedSignature
    from tests.image_signatures import (
        MemoryRegistry,
    )


NAME = "registry.example/team/app"


IMAGE = parse_reference(f"{NAME}:1.0")


DIGEST, INDEX, OTHER = (sha256(text) for text in (b"manifest", b"index", b"another image"))


def policy(folder: Path, **signatures: str) -> Policy:
    spec = ImageArtifact.model_validate(
        {"kind": "image", "name": "app", "image": f"{NAME}:1.0", "platform": "linux/amd64", "signatures": signatures}
    )
    found = read_policy(spec, folder)
    assert found is not None
    return found


def check(registry: MemoryRegistry, asked: Policy) -> tuple[LockedSignature, ...]:
    return check_signatures(registry, IMAGE, [INDEX, DIGEST], asked)  # type: ignore[arg-type]  # the reading half


def refuses(registry: MemoryRegistry, asked: Policy, match: str, error: type[Exception] = SignatureError) -> None:
    before = (dict(registry.manifests), dict(registry.blobs))
    with pytest.raises(error, match=match):
        check(registry, asked)
    assert (registry.manifests, registry.blobs) == before
