"""Signatures by an identity: certificate, transparency log and policy, checked by `sigstore` against a file of roots.

Nothing is asked of any network: the trusted root comes from a file, the log's proof or promise from the signature.
Importing this takes a second; only a release that asks for identities does.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import DuplicateExtension, ExtensionNotFound, load_pem_x509_certificate
from sigstore import errors as sigstore_errors
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import AllOf, AnyOf, Identity, OIDCIssuer, OIDCIssuerV2
from sigstore_models.trustroot.v1 import TrustedRoot as TrustedRootMessage

from airgap_bundle.build.image_claims import check_statement
from airgap_bundle.build.promised_entry import PromisedBundle, promised_entry, read_promise
from airgap_bundle.digest import Digest
from airgap_bundle.errors import LockError, SignatureError
from airgap_bundle.locked_image import Form, LockedSignature
from airgap_bundle.metadata import format_time

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from airgap_bundle.build.signature_policy import IdentityPolicy
    from airgap_bundle.build.signature_sources import SimpleSignature

CERTIFICATE = "dev.sigstore.cosign/certificate"
PROMISE = "dev.sigstore.cosign/bundle"

# What `sigstore` and `cryptography` raise over certificates, entries and envelopes that somebody hostile wrote.
_REFUSALS = (
    sigstore_errors.Error,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    struct.error,
    InvalidSignature,
    UnsupportedAlgorithm,
    ExtensionNotFound,
    DuplicateExtension,
)


class IdentityVerifier:
    """Verifies for one policy. Raises ``LockError`` when its trusted root is none."""

    def __init__(self, policy: IdentityPolicy) -> None:
        self._identity, self._issuer = policy.identity, policy.issuer
        issuers = AnyOf([OIDCIssuerV2(policy.issuer), OIDCIssuer(policy.issuer)])
        self._policy = AllOf([Identity(identity=policy.identity), issuers])
        try:
            root = TrustedRoot(TrustedRootMessage.from_json(policy.trusted_root))
            self._verifier = Verifier(trusted_root=root)
        except _REFUSALS as error:
            cause = f"the trusted root cannot be used: {_line(error)}"
            raise LockError(cause, "release.yaml names it under signatures") from error

    def verify_bundle(self, data: bytes, digest: Digest) -> LockedSignature:
        """A sigstore bundle whose statement signs ``digest``. Raises ``VerificationError``'s kin."""
        try:
            bundle = Bundle.from_json(data)
            payload_type, payload = self._verifier.verify_dsse(bundle, self._policy)
        except _REFUSALS as error:
            raise SignatureError(f"the bundle does not verify: {_line(error)}") from error
        check_statement(payload_type, payload, digest)
        entry = bundle.log_entry._inner  # noqa: SLF001 - sigstore shows the verified entry nowhere else
        promised = entry.integrated_time if entry.inclusion_promise is not None else None
        return self._signed("bundle", digest, bundle.signing_certificate, entry.log_index, promised)

    def verify_simple(self, found: SimpleSignature, signature: bytes, digest: Digest) -> LockedSignature:
        """A simple-signing payload with its certificate and the log's promise. Raises ``VerificationError``'s kin."""
        if CERTIFICATE not in found.annotations or PROMISE not in found.annotations:
            raise SignatureError("the signature lacks a certificate or a log's promise, and an identity is asked for")
        promise = read_promise(found.annotations[PROMISE])
        entry = promised_entry(promise)
        try:
            certificate = load_pem_x509_certificate(found.annotations[CERTIFICATE].encode())
            self._verifier.verify_artifact(found.payload, PromisedBundle(certificate, signature, entry), self._policy)
        except _REFUSALS as error:
            raise SignatureError(f"the signature does not verify: {_line(error)}") from error
        payload = promise["Payload"]
        return self._signed("simple-signing", digest, certificate, payload["logIndex"], payload["integratedTime"])

    def _signed(
        self, form: Form, digest: Digest, certificate: Certificate, log_index: int, promised: int | None
    ) -> LockedSignature:
        return LockedSignature(
            form=form,
            digest=str(digest),
            identity=self._identity,
            issuer=self._issuer,
            certificate=str(Digest.from_hex(certificate.fingerprint(SHA256()).hex())),
            log_index=log_index,
            logged=format_time(datetime.fromtimestamp(promised, UTC)) if promised else "",
        )


def _line(error: BaseException) -> str:
    """An error of another library in one lower-case line that no terminal obeys."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())
    return text[:1].lower() + text[1:300]
