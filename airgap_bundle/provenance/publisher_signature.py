"""OMS signatures (OpenSSF Model Signing 1.0): a Sigstore bundle v0.3 around a DSSE envelope around a ``manifest``.

A reader takes these steps, in this order: 1. size and strict JSON; 2. exactly the members that are known, of the
media type v0.3; 3. one kind of material, a key's fingerprint or a chain of certificates, and exactly one signature;
4. a key that the caller trusts (``publishers``); 5. the signature over the pre-authentication encoding; 6. only then
the payload. Keyless (Fulcio) signatures are refused: they need a transparency log that is not reached from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey

from airgap_bundle import armour, strict_json
from airgap_bundle.dsse import ReadEnvelope, read_single
from airgap_bundle.errors import FormatError, MalformedError, PayloadTypeError, SignatureError, SigningError
from airgap_bundle.provenance.manifest import Manifest, parse_statement, to_statement
from airgap_bundle.provenance.publishers import (
    MAX_CHAIN,
    Publisher,
    check_curve,
    find_chain,
    find_key,
    key_fingerprint,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric import ec

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_BYTES = 32 << 20
_HINT_HEX = 64


@dataclass(frozen=True)
class PublishedManifest:
    """A manifest whose signature holds, by whom, and the fingerprint of the key that made it."""

    manifest: Manifest
    publisher: str
    key: str


def sign_manifest(manifest: Manifest, key: ec.EllipticCurvePrivateKey, chain: Sequence[x509.Certificate] = ()) -> bytes:
    """The signature file of ``manifest``. With ``chain``, leaf first, the certificates travel in it.

    Raises ``SigningError`` when the leaf is not the key's, and ``FormatError`` for a key that OMS does not know.
    """
    public = check_curve(key.public_key())
    if chain and chain[0].public_key() != public:
        raise SigningError("the certificate is another key's", "name the chain with the signer's certificate first")
    envelope = Envelope(to_statement(manifest), PAYLOAD_TYPE, {})
    signature = CryptoSigner(key, SSlibKey.from_crypto(public)).sign(envelope.pae())
    return strict_json.dumps(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {**_material(public, chain), "tlogEntries": []},
            "dsseEnvelope": {
                "payload": armour.encode(envelope.payload),
                "payloadType": PAYLOAD_TYPE,
                # OMS finds the key by the material; a key id here would be another's to misread.
                "signatures": [{"keyid": "", "sig": armour.encode(bytes.fromhex(signature.signature))}],
            },
        }
    )


def _material(public: ec.EllipticCurvePublicKey, chain: Sequence[x509.Certificate]) -> dict[str, Any]:
    if not chain:
        return {"publicKey": {"hint": key_fingerprint(public)}}
    raw = [armour.encode(item.public_bytes(Encoding.DER)) for item in chain]
    return {"x509CertificateChain": {"certificates": [{"rawBytes": item} for item in raw]}}


def verify_signature(data: bytes, publishers: Sequence[Publisher], now: datetime) -> PublishedManifest:
    """The manifest that one of ``publishers`` signed in ``data``, valid at ``now``.

    Raises ``MalformedError``, ``PayloadTypeError``, ``SignatureError`` or one of ``provenance.errors``.
    """
    try:
        material, envelope, signature = _parse(data)
        publisher, key = _find(material, publishers, now)
        trusted = SSlibKey.from_crypto(key)
        try:
            trusted.verify_signature(Signature(trusted.keyid, signature.hex()), envelope.pae())
        except UnverifiedSignatureError as error:
            raise SignatureError(f"the model's signature is not by {publisher.name}, whose key it names") from error
        return PublishedManifest(parse_statement(envelope.payload), publisher.name, key_fingerprint(key))
    except FormatError as error:
        raise MalformedError(f"model signature: {error.cause}") from error


def _parse(data: bytes) -> tuple[object, ReadEnvelope, bytes]:
    """Verification material, envelope and its one signature. Raises ``FormatError`` and ``PayloadTypeError``."""
    value = strict_json.load_object(data, max_bytes=MAX_BYTES)
    if set(value) != {"mediaType", "verificationMaterial", "dsseEnvelope"} or value["mediaType"] != MEDIA_TYPE:
        raise FormatError(f"no sigstore bundle of type {MEDIA_TYPE}")
    envelope, signature = read_single(value["dsseEnvelope"])
    if envelope.payload_type != PAYLOAD_TYPE:
        raise PayloadTypeError(f"the model's signature is over a {envelope.payload_type[:80]!r}")
    return value["verificationMaterial"], envelope, signature


def _find(
    material: object, publishers: Sequence[Publisher], now: datetime
) -> tuple[Publisher, ec.EllipticCurvePublicKey]:
    if not isinstance(material, dict):
        raise FormatError("verificationMaterial is no object")
    if "certificate" in material:
        raise FormatError("a keyless signature rests on a transparency log, which is not reached from here")
    kinds = set(material) - {"tlogEntries"}
    if material.get("tlogEntries", []) != [] or kinds not in ({"publicKey"}, {"x509CertificateChain"}):
        raise FormatError("verificationMaterial is not one public key or one chain of certificates")
    if "publicKey" in material:
        return find_key(_hint(material["publicKey"]), publishers)
    chain = _members(material, "x509CertificateChain", {"certificates"})["certificates"]
    if not isinstance(chain, list) or not 1 <= len(chain) <= MAX_CHAIN:
        raise FormatError(f"a chain has from 1 to {MAX_CHAIN} certificates")
    leaf, *others = (_certificate(item) for item in chain)
    try:
        return find_chain(leaf, others, publishers, now)
    except (ValueError, UnsupportedAlgorithm) as error:  # fields of a certificate are read when they are asked for
        raise FormatError("a certificate cannot be read") from error


def _hint(value: object) -> str:
    """The fingerprint of the key; signatures from before model-signing 1.1 carry the key itself."""
    if isinstance(value, dict) and set(value) == {"hint"} and isinstance(value["hint"], str):
        if len(value["hint"]) == _HINT_HEX:
            return str(value["hint"])
    elif isinstance(value, dict) and {"rawBytes"} <= set(value) <= {"rawBytes", "keyDetails"}:
        try:
            return key_fingerprint(check_curve(load_pem_public_key(armour.decode(value["rawBytes"]))))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise FormatError("publicKey.rawBytes is no public key") from error
    raise FormatError("publicKey is no fingerprint of a key")


def _certificate(item: object) -> x509.Certificate:
    if not isinstance(item, dict) or set(item) != {"rawBytes"}:
        raise FormatError("a certificate is not its rawBytes")
    try:
        return x509.load_der_x509_certificate(armour.decode(item["rawBytes"]))
    except ValueError as error:
        raise FormatError("a certificate cannot be read") from error


def _members(value: dict[str, Any], key: str, names: set[str]) -> dict[str, Any]:
    found = value.get(key)
    if not isinstance(found, dict) or set(found) != names:
        raise FormatError(f"{key} holds other members than {', '.join(sorted(names))}")
    return found
