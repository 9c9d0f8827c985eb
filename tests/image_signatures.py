"""Signatures on images as cosign writes them, and where it keeps them: in a registry, ours or one in memory."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding

from airgap_bundle.build.image_claims import (
    SIGN_PREDICATE,
    SIMPLE_SIGNING_CLAIM,
    SIMPLE_SIGNING_TYPE,
    STATEMENT_PAYLOAD,
)
from airgap_bundle.build.registry import Document, MissingImageError, WrongAnswerError
from airgap_bundle.build.signature_sources import BUNDLE_TYPE
from airgap_bundle.descriptor import INDEX_TYPE, MANIFEST_TYPE
from airgap_bundle.digest import Digest, sha256
from tests.images import descriptor, to_json
from tests.sigstore_instance import b64, signed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric import ec

    from tests.sigstore_instance import Instance, Leaf


def payload(digest: Digest, reference: str, claim: str = SIMPLE_SIGNING_CLAIM) -> bytes:
    """What a simple signature signs."""
    critical = {
        "identity": {"docker-reference": reference},
        "image": {"docker-manifest-digest": digest},
        "type": claim,
    }
    return json.dumps({"critical": critical, "optional": None}).encode()


def statement(digest: Digest, predicate: str = SIGN_PREDICATE) -> bytes:
    """What a bundle's envelope signs."""
    value = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": digest.hex}}],
        "predicateType": predicate,
        "predicate": {},
    }
    return json.dumps(value).encode()


def by_key(key: ec.EllipticCurvePrivateKey, data: bytes) -> dict[str, str]:
    """Annotations of a simple signature by a key."""
    return {"dev.cosignproject.cosign/signature": b64(signed(key, data))}


def by_leaf(instance: Instance, leaf: Leaf, data: bytes, at: datetime | None = None) -> dict[str, str]:
    """Annotations of a simple signature by an identity, with the log's promise made ``at``."""
    signature = signed(leaf.key, data)
    record = {
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}},
            "signature": {"content": b64(signature), "publicKey": {"content": b64(leaf.pem)}},
        },
    }
    return {
        "dev.cosignproject.cosign/signature": b64(signature),
        "dev.sigstore.cosign/certificate": leaf.pem.decode(),
        "dev.sigstore.cosign/bundle": json.dumps(instance.promise(json.dumps(record).encode(), at or leaf.issued)),
    }


def bundle(
    instance: Instance, leaf: Leaf, data: bytes, at: datetime | None = None, payload_type: str = STATEMENT_PAYLOAD
) -> dict[str, Any]:
    """A sigstore bundle v0.3 around a statement."""
    signature = signed(leaf.key, pae(payload_type, data))
    body = {
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": {"algorithm": "sha256", "value": "0" * 64},
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()},
            "signatures": [{"signature": b64(signature), "verifier": b64(leaf.pem)}],
        },
    }
    entry = instance.entry("dsse", json.dumps(body).encode(), at or leaf.issued)
    der = leaf.certificate.public_bytes(Encoding.DER)
    material = {"certificate": {"rawBytes": b64(der)}, "tlogEntries": [entry]}
    return {
        "mediaType": BUNDLE_TYPE,
        "verificationMaterial": material,
        "dsseEnvelope": envelope(data, signature, payload_type),
    }


def key_bundle(key: ec.EllipticCurvePrivateKey, data: bytes, payload_type: str = STATEMENT_PAYLOAD) -> dict[str, Any]:
    """A sigstore bundle by a key, without a log."""
    return {
        "mediaType": BUNDLE_TYPE,
        "verificationMaterial": {"publicKey": {"hint": "upstream"}, "tlogEntries": []},
        "dsseEnvelope": envelope(data, signed(key, pae(payload_type, data)), payload_type),
    }


def envelope(data: bytes, signature: bytes, payload_type: str) -> dict[str, Any]:
    return {"payload": b64(data), "payloadType": payload_type, "signatures": [{"sig": b64(signature)}]}


def pae(payload_type: str, data: bytes) -> bytes:
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(data), data)


@dataclass
class MemoryRegistry:
    """The reading half of `Registry` over dictionaries. With ``lists`` it has OCI's list of referrers."""

    host: str = "registry.example"
    repository: str = "team/app"
    lists: bool = True
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    blobs: dict[Digest, bytes] = field(default_factory=dict)

    def manifest(self, reference: str, accept: Collection[str]) -> Document:
        if reference not in self.manifests:
            raise MissingImageError(f"{reference} is not there")
        media_type, data = self.manifests[reference]
        if media_type not in accept:
            raise WrongAnswerError(f"{reference} is of type {media_type}")
        return Document(media_type, data)

    def referrers(self, digest: Digest) -> Document:
        if not self.lists:
            raise MissingImageError("no list of referrers")
        media_type, data = self.manifests.get(f"referrers {digest}", (INDEX_TYPE, _index([])))
        return Document(media_type, data)

    def blob(self, digest: Digest, size: int) -> AbstractContextManager[tuple[int, Iterator[bytes]]]:
        if digest not in self.blobs:
            raise MissingImageError(f"{digest} is not there")
        return contextlib.nullcontext((0, iter([self.blobs[digest][: size + 1]])))

    def put(self, data: bytes) -> bytes:
        self.blobs[sha256(data)] = data
        return data

    def sign_simply(
        self, digest: Digest, *signatures: tuple[bytes, Mapping[str, str]], media_type: str = SIMPLE_SIGNING_TYPE
    ) -> None:
        """The tag `sha256-<hex>.sig` with these payloads and annotations."""
        data = to_json(simple_manifest(self, signatures, media_type))
        self.manifests[f"sha256-{digest.hex}.sig"] = (MANIFEST_TYPE, data)

    def refer(self, digest: Digest, *bundles: dict[str, Any]) -> None:
        """Bundles as referrers of ``digest``: in the list, or under its tag where the registry has no list."""
        entries = []
        for value in bundles:
            data = to_json(bundle_manifest(self, digest, value))
            self.manifests[str(sha256(data))] = (MANIFEST_TYPE, data)
            entries.append(descriptor(data, MANIFEST_TYPE, artifactType=BUNDLE_TYPE))
        name = f"referrers {digest}" if self.lists else f"sha256-{digest.hex}"
        self.manifests[name] = (INDEX_TYPE, _index(entries))


def simple_manifest(
    store: Any, signatures: Collection[tuple[bytes, Mapping[str, str]]], media_type: str = SIMPLE_SIGNING_TYPE
) -> dict[str, Any]:
    """Cosign's older form; blobs go to ``store.put``."""
    config = store.put(b'{"rootfs":{"type":"layers"}}')
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": descriptor(config, "application/vnd.oci.image.config.v1+json"),
        "layers": [descriptor(store.put(data), media_type, annotations=dict(notes)) for data, notes in signatures],
    }


def bundle_manifest(store: Any, digest: Digest, value: dict[str, Any]) -> dict[str, Any]:
    """Cosign's newer form: a referrer with the bundle as its one layer."""
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": BUNDLE_TYPE,
        "config": descriptor(store.put(b"{}"), "application/vnd.oci.empty.v1+json"),
        "layers": [descriptor(store.put(json.dumps(value).encode()), BUNDLE_TYPE)],
        "subject": {"mediaType": MANIFEST_TYPE, "digest": str(digest), "size": 1},
    }


def _index(entries: list[dict[str, Any]]) -> bytes:
    return to_json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries})
