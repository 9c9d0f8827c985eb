"""Signatures go both ways between here and model-signing 1.1.1; and what it accepts that is refused here.

Each weakness is shown at the reference implementation first: when it learns better, the test says so.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import model_signing
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from airgap_bundle.errors import MalformedError, UnlistedFileError
from airgap_bundle.provenance.errors import CertificateExpiredError
from airgap_bundle.provenance.folder import read_folder
from airgap_bundle.provenance.publisher_signature import sign_manifest, verify_signature
from airgap_bundle.provenance.publishers import Publisher
from tests.unit.provenance.publisher_bench import (
    DAY,
    IDENTITY,
    NOW,
    key,
    leaf,
    private_pem,
    public_pem,
    publisher,
    root,
    sign_folder,
    sign_with_certificate,
    silent,
    verify_folder,
    write_folder,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CURVES = ("secp256r1", "secp384r1", "secp521r1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "small-model")


def _theirs(folder: Path, curve: str = "secp256r1", hashing: model_signing.hashing.Config | None = None) -> bytes:
    """The reference implementation's signature over ``folder`` by the architect."""
    config = model_signing.signing.Config()
    config.use_elliptic_key_signer(private_key=private_pem("architect", folder.parent, curve))
    config.set_hashing_config(hashing or model_signing.hashing.Config())
    config.sign(folder, folder.parent / "their.sig")
    return (folder.parent / "their.sig").read_bytes()


def _accepted_there(folder: Path, signature: bytes, curve: str = "secp256r1") -> None:
    """Raises unless the reference implementation accepts ``signature`` by the architect's key."""
    path = folder.parent / "ours.sig"
    path.write_bytes(signature)
    config = model_signing.verifying.Config()
    config.use_elliptic_key_verifier(public_key=public_pem("architect", folder.parent, curve)).verify(folder, path)


def _accepted_there_by_certificate(folder: Path, signature: bytes) -> None:
    path, roots = folder.parent / "ours.sig", folder.parent / "root.pem"
    path.write_bytes(signature)
    roots.write_bytes(root().public_bytes(Encoding.PEM))
    model_signing.verifying.Config().use_certificate_verifier(certificate_chain=[roots]).verify(folder, path)


@pytest.mark.parametrize("curve", CURVES)
def test_a_signature_of_the_reference_implementation_verifies_here(folder: Path, curve: str) -> None:
    found = verify_folder(folder, _theirs(folder, curve), [publisher(curve=curve)])
    assert (found.publisher, found.manifest.identity.name) == ("architect", "small-model")


@pytest.mark.parametrize("curve", CURVES)
def test_our_signature_verifies_at_the_reference_implementation(folder: Path, curve: str) -> None:
    manifest = read_folder(folder, IDENTITY, progress=silent)
    _accepted_there(folder, sign_manifest(manifest, key("architect", curve)), curve)


def test_a_signature_over_pieces_of_files_verifies_here(folder: Path) -> None:
    (folder / "a/b.txt").write_bytes(b"not empty")  # pieces cannot list an empty file
    by_pieces = model_signing.hashing.Config().use_shard_serialization(shard_size=7)
    manifest = verify_folder(folder, _theirs(folder, hashing=by_pieces)).manifest
    assert manifest.shard_size == 7
    assert len(manifest.by_path()["weights-00001-of-00002.gguf"]) == 72


def test_certificates_go_both_ways(folder: Path) -> None:
    _accepted_there_by_certificate(folder, sign_with_certificate(folder, leaf()))
    own, above = folder.parent / "leaf.pem", folder.parent / "root.pem"
    own.write_bytes(leaf().public_bytes(Encoding.PEM))
    config = model_signing.signing.Config()
    config.use_certificate_signer(
        private_key=private_pem("architect", folder.parent), signing_certificate=own, certificate_chain=[above]
    ).sign(folder, folder.parent / "their.sig")
    trusted = [Publisher("architect", roots=(root(),))]
    assert verify_folder(folder, (folder.parent / "their.sig").read_bytes(), trusted).publisher == "architect"


def test_our_annotations_of_version_and_role_are_nothing_to_the_reference_implementation(folder: Path) -> None:
    signature = sign_folder(folder)
    assert verify_signature(signature, [publisher()], NOW).manifest.identity == IDENTITY
    _accepted_there(folder, signature)


def test_what_its_ignore_list_hides_is_refused_here(folder: Path) -> None:
    signature = _theirs(folder)
    (folder / ".git").mkdir()
    (folder / ".git/config").write_bytes(b"unsigned")
    _accepted_there(folder, signature)
    with pytest.raises(UnlistedFileError, match=r"\.git/config"):
        verify_folder(folder, signature)


def test_an_ignore_list_of_the_signers_own_making_grants_nothing_here(folder: Path) -> None:
    hiding = model_signing.hashing.Config().set_ignored_paths(paths=["extra.gguf"])
    (folder / "extra.gguf").write_bytes(b"unsigned")
    signature = _theirs(folder, hashing=hiding)
    _accepted_there(folder, signature)
    with pytest.raises(UnlistedFileError, match=r"extra\.gguf"):
        verify_folder(folder, signature)


def test_an_empty_folder_that_it_does_not_see_is_refused_here(folder: Path) -> None:
    signature = _theirs(folder)
    (folder / "empty").mkdir()
    _accepted_there(folder, signature)
    with pytest.raises(UnlistedFileError, match="empty"):
        verify_folder(folder, signature)


def test_a_leaf_that_expired_long_ago_is_refused_here(folder: Path) -> None:
    old = leaf(begin=NOW - 4000 * DAY, end=NOW - 3000 * DAY)
    signature = sign_with_certificate(folder, old)
    _accepted_there_by_certificate(folder, signature)
    with pytest.raises(CertificateExpiredError):
        verify_folder(folder, signature, [Publisher("architect", roots=(root(),))])


@pytest.mark.parametrize("place", [lambda own, other: [own, other], lambda own, other: [other, own]])
def test_a_second_signature_is_refused_here_wherever_it_stands(
    folder: Path, place: Callable[[object, object], list[object]]
) -> None:
    value = json.loads(_theirs(folder))
    (own,) = value["dsseEnvelope"]["signatures"]
    value["dsseEnvelope"]["signatures"] = place(own, {"sig": "AAAA", "keyid": ""})
    signature = json.dumps(value).encode()
    if value["dsseEnvelope"]["signatures"][0] is own:
        _accepted_there(folder, signature)
    with pytest.raises(MalformedError, match="exactly one signature"):
        verify_folder(folder, signature)
