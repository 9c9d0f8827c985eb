"""Log entries that come with a log's promise instead of a proof, as cosign's older signatures on images do.

`sigstore` verifies proofs only, though everything else about such a signature is the same: certificate chain at the
log's time, certificate transparency, profile, policy, and that the entry is about these very bytes. So its verifier
is used whole, and these two classes change one step: the signed entry timestamp is verified where a Merkle proof and a
checkpoint would be. They lean on names inside `sigstore`, whose version is locked; tests hold them to it (ADR 70).
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding
from sigstore.models import Bundle, TransparencyLogEntry
from sigstore_models.bundle.v1 import Bundle as BundleMessage
from sigstore_models.bundle.v1 import VerificationMaterial
from sigstore_models.common.v1 import LogId, MessageSignature, X509Certificate
from sigstore_models.rekor.v1 import InclusionPromise, KindVersion
from sigstore_models.rekor.v1 import TransparencyLogEntry as EntryMessage

from airgap_bundle import strict_json
from airgap_bundle.errors import FormatError, MalformedError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from sigstore._internal.trust import RekorKeyring

MAX_BODY = 1 << 20


class PromisedEntry(TransparencyLogEntry):
    """An entry whose inclusion is promised: a signature by the log over body, index and time."""

    def _validate(self) -> None:
        """No proof is expected; ``promised_entry`` has seen to the promise."""

    def _verify(self, keyring: RekorKeyring) -> None:
        """Raises sigstore's ``VerificationError`` unless the log signed exactly this entry."""
        self._verify_set(keyring)


class PromisedBundle(Bundle):
    """A message signature with its certificate and a promised entry, in the shape that the verifier takes."""

    def __init__(self, certificate: Certificate, signature: bytes, entry: PromisedEntry) -> None:
        raw = base64.b64encode(certificate.public_bytes(Encoding.DER))
        material = VerificationMaterial.model_construct(
            certificate=X509Certificate(raw_bytes=raw),
            tlog_entries=[entry._inner],  # noqa: SLF001 - see the module
        )
        message = MessageSignature(signature=base64.b64encode(signature))
        self._inner = BundleMessage.model_construct(  # type: ignore[call-arg]  # no media type has this shape
            verification_material=material, message_signature=message
        )
        self._signing_certificate = certificate
        self._log_entry = entry


def read_promise(text: str) -> dict[str, Any]:
    """The annotation `dev.sigstore.cosign/bundle`: exactly what its specification lists. Raises ``MalformedError``."""
    try:
        value = strict_json.load_object(text.encode())
    except FormatError as error:
        raise MalformedError(f"the log's promise is no strict json: {error.cause}") from error
    payload = value.get("Payload")
    if not isinstance(payload, dict) or not isinstance(value.get("SignedEntryTimestamp"), str):
        raise MalformedError("the log's promise lacks its payload or its signature")
    texts = all(isinstance(payload.get(name), str) for name in ("body", "logID"))
    counts = all(type(payload.get(name)) is int and payload[name] >= 0 for name in ("integratedTime", "logIndex"))
    if not texts or not counts:
        raise MalformedError("the log's promise lacks body, log, time or index")
    return value


def promised_entry(promise: dict[str, Any]) -> PromisedEntry:
    """The entry of a promise that ``read_promise`` gave. Raises ``MalformedError``."""
    payload = promise["Payload"]
    try:
        body = base64.b64decode(payload["body"], validate=True)
        kind = strict_json.load_object(body, max_bytes=MAX_BODY)
        signed = base64.b64decode(promise["SignedEntryTimestamp"], validate=True)
        log = bytes.fromhex(payload["logID"])
        version = KindVersion(kind=str(kind.get("kind")), version=str(kind.get("apiVersion")))
    except (binascii.Error, ValueError, FormatError) as error:
        raise MalformedError("the log's promise cannot be read") from error
    message = EntryMessage.model_construct(
        log_index=payload["logIndex"],
        log_id=LogId(key_id=base64.b64encode(log)),
        kind_version=version,
        integrated_time=payload["integratedTime"],
        inclusion_promise=InclusionPromise(signed_entry_timestamp=base64.b64encode(signed)),
        inclusion_proof=None,  # type: ignore[arg-type]  # what the model insists on, and these entries lack
        canonicalized_body=body,
    )
    return PromisedEntry(message)
