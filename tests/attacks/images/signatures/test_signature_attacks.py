"""Attacks on upstream's signatures: what release.yaml asks for is not met, and locking refuses with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from airgap_bundle.digest import Digest, sha256
from airgap_bundle.errors import LockError, UnsignedError
from tests.attacks.images.signatures.asking import DIGEST, INDEX, NAME, OTHER, check, policy, refuses
from tests.image_signatures import (
    MemoryRegistry,
    bundle,
    by_key,
    by_leaf,
    key_bundle,
    payload,
    statement,
)
from tests.sigstore_instance import IDENTITY, ISSUER, Instance, new_key, signed, spki

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec

    from airgap_bundle.build.signature_policy import Policy

# What holds: without this, every refusal below could be for the wrong reason.


@pytest.mark.parametrize("digest", [DIGEST, INDEX], ids=["manifest", "index"])
def test_a_simple_signature_by_the_key_holds(
    key_policy: Policy, key: ec.EllipticCurvePrivateKey, digest: Digest
) -> None:
    registry, data = MemoryRegistry(), payload(digest, NAME)
    registry.sign_simply(digest, (data, by_key(key, data)))
    (found,) = check(registry, key_policy)
    assert (found.form, found.digest, found.key) == ("simple-signing", digest, sha256(spki(key)))


@pytest.mark.parametrize("lists", [True, False], ids=["list of referrers", "tag of referrers"])
def test_a_bundle_by_the_key_holds(key_policy: Policy, key: ec.EllipticCurvePrivateKey, *, lists: bool) -> None:
    registry = MemoryRegistry(lists=lists)
    registry.refer(DIGEST, key_bundle(key, statement(DIGEST)))
    (found,) = check(registry, key_policy)
    assert (found.form, found.digest) == ("bundle", DIGEST)


def test_a_simple_signature_by_the_identity_holds_with_the_logs_promise(
    identity_policy: Policy, instance: Instance
) -> None:
    registry, data = MemoryRegistry(), payload(DIGEST, f"{NAME}:1.0")
    registry.sign_simply(DIGEST, (data, by_leaf(instance, instance.leaf(), data)))
    (found,) = check(registry, identity_policy)
    assert (found.identity, found.issuer, found.log_index) == (IDENTITY, ISSUER, 7)
    assert found.logged == "2026-06-01T12:00:00Z"


def test_a_bundle_by_the_identity_holds_with_the_logs_proof(identity_policy: Policy, instance: Instance) -> None:
    registry, leaf = MemoryRegistry(), instance.leaf()
    registry.refer(INDEX, bundle(instance, leaf, statement(INDEX)))
    (found,) = check(registry, identity_policy)
    assert (found.form, found.digest, found.identity, found.log_index) == ("bundle", INDEX, IDENTITY, 7)


def test_one_good_signature_is_enough_beside_bad_ones(key_policy: Policy, key: ec.EllipticCurvePrivateKey) -> None:
    registry, data = MemoryRegistry(), payload(DIGEST, NAME)
    registry.sign_simply(DIGEST, (data, by_key(new_key(), data)), (data, by_key(key, data)))
    assert len(check(registry, key_policy)) == 1


# What an attacker tries.


def test_an_image_without_signatures_is_refused(key_policy: Policy, identity_policy: Policy) -> None:
    for asked in (key_policy, identity_policy):
        refuses(MemoryRegistry(), asked, "is not signed", UnsignedError)


def test_a_signature_of_another_digest_is_refused(
    key_policy: Policy, identity_policy: Policy, key: ec.EllipticCurvePrivateKey, instance: Instance
) -> None:
    data, leaf = payload(OTHER, NAME), instance.leaf()
    for asked, notes, value in (
        (key_policy, by_key(key, data), key_bundle(key, statement(OTHER))),
        (identity_policy, by_leaf(instance, leaf, data), bundle(instance, leaf, statement(OTHER))),
    ):
        registry = MemoryRegistry()
        registry.sign_simply(DIGEST, (data, notes))
        registry.refer(DIGEST, value)
        refuses(registry, asked, f"not over {DIGEST}")
        refuses(registry, asked, "about another image")


def test_the_right_payload_under_another_key_is_refused(key_policy: Policy) -> None:
    registry, data, wrong = MemoryRegistry(), payload(DIGEST, NAME), new_key()
    registry.sign_simply(DIGEST, (data, by_key(wrong, data)))
    registry.refer(DIGEST, key_bundle(wrong, statement(DIGEST)))
    refuses(registry, key_policy, "not by the key")


def test_a_payload_changed_after_signing_is_refused(key_policy: Policy, key: ec.EllipticCurvePrivateKey) -> None:
    registry = MemoryRegistry()
    registry.sign_simply(DIGEST, (payload(DIGEST, NAME), by_key(key, payload(OTHER, NAME))))
    value = key_bundle(key, statement(OTHER))
    value["dsseEnvelope"]["payload"] = key_bundle(key, statement(DIGEST))["dsseEnvelope"]["payload"]
    registry.refer(DIGEST, value)
    refuses(registry, key_policy, "not by the key")


@pytest.mark.parametrize(
    "reference",
    [f"{NAME}:0.9", "registry.example/team/other", "elsewhere.example/team/app", "", f"{NAME}@{OTHER}", f"{NAME}:1.0x"],
)
def test_a_signature_for_another_name_is_refused(
    key_policy: Policy, identity_policy: Policy, key: ec.EllipticCurvePrivateKey, instance: Instance, reference: str
) -> None:
    registry, data = MemoryRegistry(), payload(DIGEST, reference)
    registry.sign_simply(DIGEST, (data, by_key(key, data)), (data, by_leaf(instance, instance.leaf(), data)))
    refuses(registry, key_policy, "not for registry.example/team/app")
    refuses(registry, identity_policy, "not for registry.example/team/app")


def test_a_mirror_may_say_what_name_upstream_signs(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "upstream.pub").write_bytes(pem)
    asked = policy(tmp_path, key="upstream.pub", signed_as="upstream.example/app")
    registry, data = MemoryRegistry(), payload(DIGEST, "upstream.example/app")
    registry.sign_simply(DIGEST, (data, by_key(key, data)))
    assert check(registry, asked)
    data = payload(DIGEST, NAME)
    registry.sign_simply(DIGEST, (data, by_key(key, data)))
    refuses(registry, asked, "not for upstream.example/app")


def test_another_kind_of_claim_is_no_signature(
    key_policy: Policy, identity_policy: Policy, key: ec.EllipticCurvePrivateKey, instance: Instance
) -> None:
    """Provenance or an SBOM by the very same signer about the very same image says nothing about approving it."""
    leaf, provenance = instance.leaf(), statement(DIGEST, "https://slsa.dev/provenance/v1")
    data = payload(DIGEST, NAME, "atomic container signature")
    for asked, notes, value in (
        (key_policy, by_key(key, data), key_bundle(key, provenance)),
        (identity_policy, by_leaf(instance, leaf, data), bundle(instance, leaf, provenance)),
    ):
        registry = MemoryRegistry()
        registry.sign_simply(DIGEST, (data, notes))
        registry.refer(DIGEST, value)
        refuses(registry, asked, "'atomic container signature', no image signature")
        refuses(registry, asked, "predicate is 'https://slsa.dev/provenance/v1', no signature")


def test_a_swapped_payload_type_is_refused(
    key_policy: Policy, identity_policy: Policy, key: ec.EllipticCurvePrivateKey, instance: Instance
) -> None:
    registry, leaf, data = MemoryRegistry(), instance.leaf(), statement(DIGEST)
    registry.refer(
        DIGEST,
        key_bundle(key, data, "application/json"),
        bundle(instance, leaf, data, payload_type="application/json"),
    )
    refuses(registry, key_policy, "no in-toto statement")
    refuses(registry, identity_policy, "no in-toto statement")
    relabelled = key_bundle(key, data, "application/json")
    relabelled["dsseEnvelope"]["payloadType"] = "application/vnd.in-toto+json"
    registry.refer(DIGEST, relabelled)
    refuses(registry, key_policy, "not by the key")


def test_a_layer_of_another_type_is_not_even_a_candidate(key_policy: Policy, key: ec.EllipticCurvePrivateKey) -> None:
    registry, data = MemoryRegistry(), payload(DIGEST, NAME)
    registry.sign_simply(DIGEST, (data, by_key(key, data)), media_type="application/vnd.in-toto+json")
    refuses(registry, key_policy, "is not signed", UnsignedError)


def test_a_key_of_a_weak_kind_is_told(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - used here only

    weak = rsa.generate_private_key(65537, 1024).public_key()
    (tmp_path / "weak.pub").write_bytes(weak.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(LockError, match="not signed by here"):
        policy(tmp_path, key="weak.pub")


def test_the_double_signs_as_the_library_does(key: ec.EllipticCurvePrivateKey) -> None:
    """Two signatures over one text differ and both hold: ECDSA is not deterministic here."""
    assert signed(key, b"text") != signed(key, b"text")
