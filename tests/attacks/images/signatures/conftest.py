"""A sigstore of its own, a key, and the policies that ask for either; nothing of it needs a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pytest_socket import disable_socket, enable_socket

from tests.attacks.images.signatures.asking import policy
from tests.sigstore_instance import IDENTITY, ISSUER, Instance, new_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec

    from airgap_bundle.build.signature_policy import Policy


@pytest.fixture(autouse=True)
def _offline() -> Iterator[None]:
    """Whether a signature holds is asked of no network."""
    disable_socket()
    yield
    enable_socket()


@pytest.fixture(scope="module")
def instance() -> Instance:
    return Instance()


@pytest.fixture(scope="module")
def key() -> ec.EllipticCurvePrivateKey:
    return new_key()


@pytest.fixture
def key_policy(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> Policy:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "upstream.pub").write_bytes(pem)
    return policy(tmp_path, key="upstream.pub")


@pytest.fixture
def identity_policy(tmp_path: Path, instance: Instance) -> Policy:
    (tmp_path / "root.json").write_bytes(instance.trusted_root())
    return policy(tmp_path, identity=IDENTITY, issuer=ISSUER, trusted_root="root.json")
