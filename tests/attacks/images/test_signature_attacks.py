"""Attacks on upstream's signatures: what release.yaml asks for is not met, and locking refuses with the reason."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pytest_socket import disable_socket, enable_socket

from airgap_bundle.build.registry import Document, InterruptedTransferError
from airgap_bundle.build.signature_check import check_signatures
from airgap_bundle.build.signature_policy import read_policy
from airgap_bundle.build.signature_sources import BUNDLE_TYPE, find_signatures
from airgap_bundle.descriptor import INDEX_TYPE, MANIFEST_TYPE
from airgap_bundle.digest import Digest, sha256
from airgap_bundle.errors import LockError, SignatureError, UnsignedError
from airgap_bundle.image_reference import parse_reference
from airgap_bundle.release_file import ImageArtifact
from tests.image_signatures import (
    MemoryRegistry,
    bundle,
    by_key,
    by_leaf,
    key_bundle,
    payload,
    statement,
)
from tests.images import descriptor, to_json
from tests.sigstore_instance import IDENTITY, ISSUER, NOW, Instance, new_key, signed, spki

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec

    from airgap_bundle.build.signature_policy import Policy
    from airgap_bundle.locked_image import LockedSignature

NAME = "registry.example/team/app"
IMAGE = parse_reference(f"{NAME}:1.0")
DIGEST, INDEX, OTHER = (sha256(text) for text in (b"manifest", b"index", b"another image"))


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


def policy(folder: Path, **signatures: str) -> Policy:
    spec = ImageArtifact.model_validate(
        {"kind": "image", "name": "app", "image": f"{NAME}:1.0", "platform": "linux/amd64", "signatures": signatures}
    )
    found = read_policy(spec, folder)
    assert found is not None
    return found


@pytest.fixture
def key_policy(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> Policy:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "upstream.pub").write_bytes(pem)
    return policy(tmp_path, key="upstream.pub")


@pytest.fixture
def identity_policy(tmp_path: Path, instance: Instance) -> Policy:
    (tmp_path / "root.json").write_bytes(instance.trusted_root())
    return policy(tmp_path, identity=IDENTITY, issuer=ISSUER, trusted_root="root.json")


def check(registry: MemoryRegistry, asked: Policy) -> tuple[LockedSignature, ...]:
    return check_signatures(registry, IMAGE, [INDEX, DIGEST], asked)  # type: ignore[arg-type]  # the reading half


def refuses(registry: MemoryRegistry, asked: Policy, match: str, error: type[Exception] = SignatureError) -> None:
    before = (dict(registry.manifests), dict(registry.blobs))
    with pytest.raises(error, match=match):
        check(registry, asked)
    assert (registry.manifests, registry.blobs) == before


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


HOSTILE: dict[str, bytes] = {
    "duplicate keys": b'{"dsseEnvelope":{},"dsseEnvelope":{}}',
    "nesting": b"[" * 5000 + b"]" * 5000,
    "no json": b"\xff\xfe",
    "empty": b"{}",
    "another version": json.dumps({"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.1"}).encode(),
    "two signatures": json.dumps({"dsseEnvelope": {"payload": "", "payloadType": "", "signatures": [{}, {}]}}).encode(),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bundles_are_refused_never_a_crash(key_policy: Policy, identity_policy: Policy, data: bytes) -> None:
    registry = MemoryRegistry()
    registry.refer(DIGEST, {"placeholder": True})
    swap_layer(registry, data)
    for asked in (key_policy, identity_policy):
        refuses(registry, asked, "bundle")


def swap_layer(registry: MemoryRegistry, data: bytes) -> None:
    """Put ``data`` where the one referrer's bundle was, all digests right."""
    (name,) = (name for name in registry.manifests if name.startswith("sha256:"))
    media_type, before = registry.manifests.pop(name)
    value = json.loads(before)
    value["layers"][0] |= {"digest": str(sha256(registry.put(data))), "size": len(data)}
    after = json.dumps(value).encode()
    registry.manifests[str(sha256(after))] = (media_type, after)
    listing: dict[str, Any] = json.loads(registry.manifests[f"referrers {DIGEST}"][1])
    listing["manifests"][0] |= {"digest": str(sha256(after)), "size": len(after)}
    registry.manifests[f"referrers {DIGEST}"] = (
        registry.manifests[f"referrers {DIGEST}"][0],
        json.dumps(listing).encode(),
    )


def test_a_referrer_of_something_else_is_refused(key_policy: Policy, key: ec.EllipticCurvePrivateKey) -> None:
    registry = MemoryRegistry()
    registry.refer(OTHER, key_bundle(key, statement(DIGEST)))
    registry.manifests[f"referrers {DIGEST}"] = registry.manifests.pop(f"referrers {OTHER}")
    refuses(registry, key_policy, "ignored: referrer 1 cannot be read: .* refers to something else")


JUNK = descriptor(b"junk", MANIFEST_TYPE, artifactType=BUNDLE_TYPE)
BESIDE: dict[str, tuple[Any, str]] = {
    "no descriptor": ("sha256:nothing", "no object"),
    "a size that is none": (JUNK | {"size": -1}, "no byte count"),
    "addresses": (JUNK | {"urls": ["https://elsewhere.example/"]}, "names addresses"),
    "no manifest": (JUNK | {"digest": str(sha256(b"nowhere"))}, "is not there"),
    "other content": (JUNK | {"digest": str(sha256(b"list"))}, "is of type"),
    "no json": (JUNK, "json"),
    "of another image": (JUNK | {"digest": str(sha256(b"foreign"))}, "refers to something else"),
    "of no bundle": (JUNK | {"digest": str(sha256(b"layers"))}, "no sigstore bundle"),
    "bundle lost": (JUNK | {"digest": str(sha256(b"lost"))}, "is not there"),
}


def beside(registry: MemoryRegistry, entry: object) -> None:
    """Put ``entry`` first among the referrers, and what the entries above speak of into the registry."""
    subject = {"digest": str(DIGEST)}
    plain = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "subject": subject, "layers": []}
    for name, media_type, content in (
        (b"junk", MANIFEST_TYPE, b"{"),
        (b"list", INDEX_TYPE, b"{}"),
        (b"foreign", MANIFEST_TYPE, to_json(plain | {"subject": {"digest": str(OTHER)}})),
        (b"layers", MANIFEST_TYPE, to_json(plain)),
        (b"lost", MANIFEST_TYPE, to_json(plain | {"layers": [descriptor(b"gone", BUNDLE_TYPE)]})),
    ):
        registry.manifests[str(sha256(name))] = (media_type, content)
    media_type, data = registry.manifests.get(f"referrers {DIGEST}", (INDEX_TYPE, b'{"manifests":[]}'))
    listing = json.loads(data) | {"schemaVersion": 2, "mediaType": INDEX_TYPE}
    listing["manifests"].insert(0, entry)
    registry.manifests[f"referrers {DIGEST}"] = (media_type, to_json(listing))


@pytest.mark.parametrize(("entry", "reason"), BESIDE.values(), ids=BESIDE)
def test_a_referrer_that_cannot_be_read_hinders_no_good_signature_beside_it(
    key_policy: Policy, key: ec.EllipticCurvePrivateKey, entry: object, reason: str
) -> None:
    alone = MemoryRegistry()
    beside(alone, entry)
    refuses(alone, key_policy, f"ignored: referrer 1 cannot be read: .*{reason}")
    bundled, tagged, data = MemoryRegistry(), MemoryRegistry(), payload(DIGEST, NAME)
    bundled.refer(DIGEST, key_bundle(key, statement(DIGEST)))
    tagged.sign_simply(DIGEST, (data, by_key(key, data)))
    for registry in (bundled, tagged):
        beside(registry, entry)
        assert len(check(registry, key_policy)) == 1


def test_a_list_or_a_tag_that_cannot_be_read_hinders_no_good_signature_beside_it(
    key_policy: Policy, key: ec.EllipticCurvePrivateKey
) -> None:
    bundled, tagged, data = MemoryRegistry(), MemoryRegistry(), payload(DIGEST, NAME)
    bundled.refer(DIGEST, key_bundle(key, statement(DIGEST)))
    bundled.manifests[f"sha256-{DIGEST.hex}.sig"] = (MANIFEST_TYPE, b"{")
    tagged.sign_simply(DIGEST, (data, by_key(key, data)))
    tagged.manifests[f"referrers {DIGEST}"] = (INDEX_TYPE, b'{"manifests":1}')
    for registry in (bundled, tagged):
        assert len(check(registry, key_policy)) == 1
    both = MemoryRegistry(manifests=bundled.manifests | tagged.manifests)
    both.manifests[f"sha256-{DIGEST.hex}.sig"] = (MANIFEST_TYPE, b"{")
    refuses(both, key_policy, "ignored: the list of referrers cannot be read.*; the tag of signatures cannot be read")


def test_a_flood_of_referrers_is_told_and_looked_at_up_to_a_bound(
    key_policy: Policy, key: ec.EllipticCurvePrivateKey
) -> None:
    registry = MemoryRegistry()
    registry.refer(DIGEST, key_bundle(key, statement(DIGEST)))
    for _ in range(64):
        beside(registry, JUNK)
    refuses(registry, key_policy, "ignored: only the first 64 of 65 referrers were looked at")
    assert len(find_signatures(registry, DIGEST).ignored) == 65  # type: ignore[arg-type]  # the reading half


def test_a_registry_that_breaks_down_is_no_missing_signature(
    key_policy: Policy, key: ec.EllipticCurvePrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Document:
        raise InterruptedTransferError("it breaks off")

    registry = MemoryRegistry()
    registry.refer(DIGEST, key_bundle(key, statement(DIGEST)))
    monkeypatch.setattr(registry, "manifest", broken)
    refuses(registry, key_policy, "breaks off", InterruptedTransferError)


def test_more_signatures_than_anybody_makes_are_refused(key_policy: Policy, key: ec.EllipticCurvePrivateKey) -> None:
    registry, data = MemoryRegistry(), payload(DIGEST, NAME)
    registry.sign_simply(DIGEST, *[(data, by_key(key, data))] * 65)
    refuses(registry, key_policy, "ignored: .*more than 64")


@pytest.mark.parametrize("text", [b"", b"{}", b"not json", b'{"mediaType":"x"}'])
def test_a_trusted_root_that_is_none_is_told(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "root.json").write_bytes(text)
    asked = policy(tmp_path, identity=IDENTITY, issuer=ISSUER, trusted_root="root.json")
    refuses(MemoryRegistry(), asked, "the trusted root cannot be used", LockError)


def test_a_key_of_a_weak_kind_is_told(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - used here only

    weak = rsa.generate_private_key(65537, 1024).public_key()
    (tmp_path / "weak.pub").write_bytes(weak.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(LockError, match="not signed by here"):
        policy(tmp_path, key="weak.pub")


def test_the_double_signs_as_the_library_does(key: ec.EllipticCurvePrivateKey) -> None:
    """Two signatures over one text differ and both hold: ECDSA is not deterministic here."""
    assert signed(key, b"text") != signed(key, b"text")
