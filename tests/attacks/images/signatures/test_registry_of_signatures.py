"""A registry that gives junk beside signatures: refused never a crash, and a good signature beside it counts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.build.registry import Document, InterruptedTransferError
from airgap_bundle.build.signature_sources import BUNDLE_TYPE, find_signatures
from airgap_bundle.descriptor import INDEX_TYPE, MANIFEST_TYPE
from airgap_bundle.digest import sha256
from tests.attacks.images.signatures.asking import DIGEST, NAME, OTHER, check, refuses
from tests.image_signatures import (
    MemoryRegistry,
    by_key,
    key_bundle,
    payload,
    statement,
)
from tests.images import descriptor, to_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

    from airgap_bundle.build.signature_policy import Policy


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
