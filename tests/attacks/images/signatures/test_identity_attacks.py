"""Attacks on signatures by an identity: another authority, log, time or name, and promises that lack or lie."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.errors import LockError
from tests.attacks.images.signatures.asking import DIGEST, NAME, OTHER, policy, refuses
from tests.image_signatures import (
    MemoryRegistry,
    bundle,
    by_key,
    by_leaf,
    key_bundle,
    payload,
    statement,
)
from tests.sigstore_instance import IDENTITY, ISSUER, NOW, Instance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec

    from airgap_bundle.build.signature_policy import Policy


@pytest.mark.parametrize("late", [timedelta(minutes=11), timedelta(minutes=-1)], ids=["after", "before"])
def test_a_certificate_that_was_not_valid_at_the_logs_time_is_refused(
    identity_policy: Policy, instance: Instance, late: timedelta
) -> None:
    registry, leaf, data = MemoryRegistry(), instance.leaf(), payload(DIGEST, NAME)
    registry.sign_simply(DIGEST, (data, by_leaf(instance, leaf, data, NOW + late)))
    refuses(registry, identity_policy, "signature does not verify: .*chain")
    registry = MemoryRegistry()
    registry.refer(DIGEST, bundle(instance, leaf, statement(DIGEST), NOW + late))
    refuses(registry, identity_policy, "bundle does not verify: .*chain")


@pytest.mark.parametrize(
    ("identity", "issuer", "reason"),
    [
        ("https://forge.example/team/app/release.yml@refs/heads/main", ISSUER, "SANs do not match"),
        (IDENTITY + "0", ISSUER, "SANs do not match"),
        (IDENTITY, "https://issuer.example.attacker.example", "policies succeeded"),
    ],
)
def test_another_identity_or_issuer_is_refused(
    identity_policy: Policy, instance: Instance, identity: str, issuer: str, reason: str
) -> None:
    registry, leaf, data = MemoryRegistry(), instance.leaf(identity, issuer), payload(DIGEST, NAME)
    registry.sign_simply(DIGEST, (data, by_leaf(instance, leaf, data)))
    refuses(registry, identity_policy, reason)
    registry = MemoryRegistry()
    registry.refer(DIGEST, bundle(instance, leaf, statement(DIGEST)))
    refuses(registry, identity_policy, reason)


FOREIGN: dict[str, tuple[Callable[[Instance, Instance], Instance], str]] = {
    "authority": (lambda ours, theirs: Instance(theirs.ca, ours.ctlog, ours.rekor), "chain"),
    "certificate log": (lambda ours, theirs: copied(ours, ctlog=theirs.ctlog), "SCT"),
    "transparency log": (lambda ours, theirs: copied(ours, rekor=theirs.rekor), "invalid log entry"),
}


def copied(instance: Instance, **changed: ec.EllipticCurvePrivateKey) -> Instance:
    """The same authority, down to its certificate, with another log."""
    found = copy.copy(instance)
    for name, value in changed.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize("part", FOREIGN)
def test_a_part_of_another_sigstore_is_refused(identity_policy: Policy, instance: Instance, part: str) -> None:
    make, reason = FOREIGN[part]
    foreign = make(instance, Instance())
    leaf, data = foreign.leaf(), payload(DIGEST, NAME)
    registry = MemoryRegistry()
    registry.sign_simply(DIGEST, (data, by_leaf(foreign, leaf, data)))
    refuses(registry, identity_policy, reason)
    registry = MemoryRegistry()
    registry.refer(DIGEST, bundle(foreign, leaf, statement(DIGEST)))
    refuses(registry, identity_policy, reason)


def test_a_signature_that_the_log_did_not_record_is_refused(identity_policy: Policy, instance: Instance) -> None:
    """CVE-2022-36056: the promise is the log's and whole, but it is about other bytes."""
    registry, leaf, data = MemoryRegistry(), instance.leaf(), payload(DIGEST, NAME)
    notes = by_leaf(instance, leaf, data)
    borrowed = by_leaf(instance, leaf, payload(OTHER, NAME))["dev.sigstore.cosign/bundle"]
    registry.sign_simply(DIGEST, (data, notes | {"dev.sigstore.cosign/bundle": borrowed}))
    refuses(registry, identity_policy, "inconsistent with other materials")
    value = bundle(instance, leaf, statement(DIGEST))
    value["verificationMaterial"] = bundle(instance, leaf, statement(OTHER))["verificationMaterial"]
    registry = MemoryRegistry()
    registry.refer(DIGEST, value)
    refuses(registry, identity_policy, "does not match bundle")


@pytest.mark.parametrize("field", ["integratedTime", "logIndex", "logID", "body"])
def test_a_promise_changed_after_the_log_signed_it_is_refused(
    identity_policy: Policy, instance: Instance, field: str
) -> None:
    registry, leaf, data = MemoryRegistry(), instance.leaf(), payload(DIGEST, NAME)
    notes = by_leaf(instance, leaf, data)
    promise = json.loads(notes["dev.sigstore.cosign/bundle"])
    before = promise["Payload"][field]
    changed = before + 1 if isinstance(before, int) else "00" * 32 if field == "logID" else before[:-8] + "fX19IA=="
    promise["Payload"][field] = changed
    registry.sign_simply(DIGEST, (data, notes | {"dev.sigstore.cosign/bundle": json.dumps(promise)}))
    refuses(registry, identity_policy, "does not verify|cannot be read")


@pytest.mark.parametrize("missing", ["certificate", "bundle"])
def test_a_certificate_or_a_promise_left_out_is_refused(
    identity_policy: Policy, instance: Instance, missing: str
) -> None:
    registry, data = MemoryRegistry(), payload(DIGEST, NAME)
    notes = by_leaf(instance, instance.leaf(), data)
    del notes[f"dev.sigstore.cosign/{missing}"]
    registry.sign_simply(DIGEST, (data, notes))
    refuses(registry, identity_policy, "lacks a certificate or a log's promise")


@pytest.mark.parametrize("part", ["inclusionProof", "inclusionPromise"])
def test_a_bundle_without_proof_or_time_is_refused(identity_policy: Policy, instance: Instance, part: str) -> None:
    registry = MemoryRegistry()
    value = bundle(instance, instance.leaf(), statement(DIGEST))
    del value["verificationMaterial"]["tlogEntries"][0][part]
    registry.refer(DIGEST, value)
    refuses(registry, identity_policy, "bundle does not verify")


def test_a_keys_signature_does_not_meet_a_policy_of_identities(
    identity_policy: Policy, key: ec.EllipticCurvePrivateKey
) -> None:
    registry, data = MemoryRegistry(), payload(DIGEST, NAME)
    registry.sign_simply(DIGEST, (data, by_key(key, data)))
    registry.refer(DIGEST, key_bundle(key, statement(DIGEST)))
    refuses(registry, identity_policy, "bundle does not verify")


@pytest.mark.parametrize("text", [b"", b"{}", b"not json", b'{"mediaType":"x"}'])
def test_a_trusted_root_that_is_none_is_told(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "root.json").write_bytes(text)
    asked = policy(tmp_path, identity=IDENTITY, issuer=ISSUER, trusted_root="root.json")
    refuses(MemoryRegistry(), asked, "the trusted root cannot be used", LockError)
