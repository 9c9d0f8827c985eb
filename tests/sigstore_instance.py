"""A private sigstore: certificate authority, certificate log, transparency log and trusted root, made in the test.

Every part signs as the real ones do (RFC 6962 for certificates, Rekor v1 entries with promise, proof and checkpoint),
so that the library's verifier, unchanged, decides. Each part can be told to do something wrong.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
LIFETIME = timedelta(minutes=10)
IDENTITY = "https://forge.example/team/app/release.yml@refs/tags/v1"
ISSUER = "https://issuer.example"
_SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_ISSUER_V1 = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER_V2 = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def signed(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


@dataclass(frozen=True)
class Leaf:
    """A signer's key with a certificate that lives ten minutes from ``issued`` on."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    issued: datetime

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


@dataclass
class Instance:
    """One sigstore. Two instances share nothing."""

    ca: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    ctlog: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    rekor: ec.EllipticCurvePrivateKey = field(default_factory=new_key)

    def __post_init__(self) -> None:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of tests")])
        usage = _usage(digital_signature=False, certificates=True)
        self.authority = (
            x509.CertificateBuilder(name, name, self.ca.public_key(), x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=365))
            .not_valid_after(NOW + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.ca.public_key()), critical=False)
            .sign(self.ca, hashes.SHA256())
        )

    def trusted_root(self) -> bytes:
        """The file that release.yaml names."""
        valid = {"start": (NOW - timedelta(days=365)).isoformat().replace("+00:00", "Z")}
        der = self.authority.public_bytes(Encoding.DER)
        authority = {
            "subject": {"organization": "tests", "commonName": "authority of tests"},
            "uri": "https://ca.example",
            "certChain": {"certificates": [{"rawBytes": b64(der)}]},
            "validFor": valid,
        }
        value = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [_log(self.rekor, valid)],
            "certificateAuthorities": [authority],
            "ctlogs": [_log(self.ctlog, valid)],
        }
        return json.dumps(value).encode()

    def leaf(self, identity: str = IDENTITY, issuer: str = ISSUER, issued: datetime = NOW) -> Leaf:
        """A certificate as Fulcio gives one, with the certificate log's timestamp in it."""
        key = new_key()
        builder = (
            x509.CertificateBuilder(
                self.authority.subject, x509.Name([]), key.public_key(), x509.random_serial_number()
            )
            .not_valid_before(issued)
            .not_valid_after(issued + LIFETIME)
            .add_extension(_usage(digital_signature=True, certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.ca.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)]), critical=True)
            .add_extension(x509.UnrecognizedExtension(_ISSUER_V1, issuer.encode()), critical=False)
            .add_extension(x509.UnrecognizedExtension(_ISSUER_V2, _der(0x0C, issuer.encode())), critical=False)
        )
        before = builder.sign(self.ca, hashes.SHA256())
        stamped = builder.add_extension(
            x509.UnrecognizedExtension(_SCT_LIST, self._timestamp(before.tbs_certificate_bytes, issued)), critical=False
        )
        return Leaf(key, stamped.sign(self.ca, hashes.SHA256()), issued)

    def _timestamp(self, precertificate: bytes, at: datetime) -> bytes:
        """A list of one signed certificate timestamp over a precertificate (RFC 6962, sections 3.2 and 3.3)."""
        milliseconds = int(at.timestamp() * 1000)
        length = len(precertificate).to_bytes(3)
        entry = hashlib.sha256(spki(self.ca)).digest() + length + precertificate
        data = struct.pack("!BBQH", 0, 0, milliseconds, 1) + entry + struct.pack("!H", 0)
        signature = signed(self.ctlog, data)
        stamp = b"\0" + hashlib.sha256(spki(self.ctlog)).digest() + struct.pack("!QH", milliseconds, 0)
        stamp += bytes([4, 3]) + struct.pack("!H", len(signature)) + signature
        listed = struct.pack("!H", len(stamp)) + stamp
        return _der(0x04, struct.pack("!H", len(listed)) + listed)

    def promise(self, body: bytes, at: datetime, index: int = 7) -> dict[str, Any]:
        """The annotation `dev.sigstore.cosign/bundle`: the log signs body, time and index."""
        payload = {
            "body": b64(body),
            "integratedTime": int(at.timestamp()),
            "logID": hashlib.sha256(spki(self.rekor)).hexdigest(),
            "logIndex": index,
        }
        canonical = json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()
        return {"SignedEntryTimestamp": b64(signed(self.rekor, canonical)), "Payload": payload}

    def entry(self, kind: str, body: bytes, at: datetime) -> dict[str, Any]:
        """A log entry with promise, proof in a tree of two, and a signed checkpoint."""
        promise = self.promise(body, at)
        leaf, other = (hashlib.sha256(b"\0" + data).digest() for data in (body, b"another entry"))
        root = hashlib.sha256(b"\1" + leaf + other).digest()
        note = f"log.example - 1\n2\n{b64(root)}\n"
        log = hashlib.sha256(spki(self.rekor)).digest()
        checkpoint = f"{note}\n\u2014 log.example {b64(log[:4] + signed(self.rekor, note.encode()))}\n"
        return {
            "logIndex": str(promise["Payload"]["logIndex"]),
            "logId": {"keyId": b64(log)},
            "kindVersion": {"kind": kind, "version": "0.0.1"},
            "integratedTime": str(promise["Payload"]["integratedTime"]),
            "inclusionPromise": {"signedEntryTimestamp": promise["SignedEntryTimestamp"]},
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": b64(root),
                "treeSize": "2",
                "hashes": [b64(other)],
                "checkpoint": {"envelope": checkpoint},
            },
            "canonicalizedBody": b64(body),
        }


def _usage(*, digital_signature: bool, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _log(key: ec.EllipticCurvePrivateKey, valid: dict[str, str]) -> dict[str, Any]:
    info = spki(key)
    return {
        "baseUrl": "https://log.example",
        "hashAlgorithm": "SHA2_256",
        "publicKey": {"rawBytes": b64(info), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": valid},
        "logId": {"keyId": b64(hashlib.sha256(info).digest())},
    }


def _der(tag: int, content: bytes) -> bytes:
    """One DER value; the lengths of tests."""
    size = len(content)
    head = (
        bytes([size])
        if size < 128
        else bytes([0x80 + (size.bit_length() + 7) // 8]) + size.to_bytes((size.bit_length() + 7) // 8)
    )
    return bytes([tag]) + head + content
