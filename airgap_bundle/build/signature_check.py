"""Whether an image is signed as release.yaml asks: every candidate is judged, one that holds is enough, none refuses.

What may be signed is the image's manifest or the index from which it was chosen: the index names the manifest by
digest, so its signature covers both. Time does not matter for a key; for an identity it is the log's.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from securesystemslib.exceptions import Error as SslibError
from securesystemslib.signer import Signature

from airgap_bundle import strict_json
from airgap_bundle.build.image_claims import check_simple_signing, check_statement
from airgap_bundle.build.signature_policy import KeyPolicy, names_image
from airgap_bundle.build.signature_sources import BUNDLE_TYPE, SimpleSignature, find_signatures
from airgap_bundle.dsse import ReadEnvelope, read_single
from airgap_bundle.errors import FormatError, MalformedError, SignatureError, UnsignedError, VerificationError
from airgap_bundle.locked_image import LockedSignature

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airgap_bundle.build.registry import Registry
    from airgap_bundle.build.signature_policy import Policy
    from airgap_bundle.build.signature_sources import Candidate
    from airgap_bundle.digest import Digest
    from airgap_bundle.image_reference import ImageReference

SIGNATURE = "dev.cosignproject.cosign/signature"
_SHOWN = 3
_HINT = "do not lift the requirement before you know why; ask upstream how this image is signed"


def check_signatures(
    registry: Registry, image: ImageReference, digests: Sequence[Digest], policy: Policy
) -> tuple[LockedSignature, ...]:
    """The signatures by ``policy`` on any of ``digests``, at least one, sorted.

    Raises ``UnsignedError`` when there is nothing at all, ``SignatureError`` when no signature holds, with the reasons
    and what was passed over.
    """
    verify = _verifier(policy)
    held: set[LockedSignature] = set()
    reasons: list[str] = []
    ignored: list[str] = []
    for digest in digests:
        found = find_signatures(registry, digest)
        ignored += found.ignored
        for candidate in found.candidates:
            try:
                held.add(_judge(candidate, image, digest, policy, verify))
            except VerificationError as error:
                reasons.append(error.cause)
    if held:
        return tuple(sorted(held, key=lambda item: (item.form, item.digest, item.log_index or 0, item.certificate)))
    if not reasons and not ignored:
        raise UnsignedError(f"{image.name} {image.asked} is not signed, and release.yaml asks for a signature", _HINT)
    told = [f"{part}: {_some(causes)}" for part, causes in (("judged", reasons), ("ignored", ignored)) if causes]
    raise SignatureError(
        f"no signature on {image.name} {image.asked} is by whom release.yaml asks for; {'; '.join(told)}", _HINT
    )


def _some(causes: Sequence[str]) -> str:
    more = f" ({len(causes) - _SHOWN} more)" if len(causes) > _SHOWN else ""
    return "; ".join(causes[:_SHOWN]) + more


def _judge(
    candidate: Candidate,
    image: ImageReference,
    digest: Digest,
    policy: Policy,
    verify: Callable[[Candidate, bytes, Digest], LockedSignature],
) -> LockedSignature:
    """Signature first, then what was signed. Raises ``VerificationError``'s kin."""
    if not isinstance(candidate, SimpleSignature):
        return verify(candidate, b"", digest)
    try:
        signature = base64.b64decode(candidate.annotations.get(SIGNATURE, ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("a signature is no base64") from error
    found = verify(candidate, signature, digest)
    reference = check_simple_signing(candidate.payload, digest)
    if not names_image(reference, policy, image, digest):
        raise SignatureError(f"the signature is for {reference[:120]!r}, not for {policy.name}")
    return found


def _verifier(policy: Policy) -> Callable[[Candidate, bytes, Digest], LockedSignature]:
    if isinstance(policy, KeyPolicy):
        return lambda candidate, signature, digest: _by_key(policy, candidate, signature, digest)
    from airgap_bundle.build.sigstore_identity import IdentityVerifier  # noqa: PLC0415 - importing it takes a second

    verifier = IdentityVerifier(policy)

    def by_identity(candidate: Candidate, signature: bytes, digest: Digest) -> LockedSignature:
        if isinstance(candidate, SimpleSignature):
            return verifier.verify_simple(candidate, signature, digest)
        return verifier.verify_bundle(candidate.data, digest)

    return by_identity


def _by_key(policy: KeyPolicy, candidate: Candidate, signature: bytes, digest: Digest) -> LockedSignature:
    if isinstance(candidate, SimpleSignature):
        _check(policy, signature, candidate.payload)
        return LockedSignature("simple-signing", str(digest), key=policy.fingerprint)
    envelope, signature = _envelope(candidate.data)
    _check(policy, signature, envelope.pae())
    check_statement(envelope.payload_type, envelope.payload, digest)
    return LockedSignature("bundle", str(digest), key=policy.fingerprint)


def _check(policy: KeyPolicy, signature: bytes, data: bytes) -> None:
    try:
        policy.key.verify_signature(Signature(policy.key.keyid, signature.hex()), data)
    except SslibError as error:
        raise SignatureError("a signature is not by the key that release.yaml names") from error


def _envelope(data: bytes) -> tuple[ReadEnvelope, bytes]:
    """The DSSE envelope of a sigstore bundle and its one signature. Raises ``MalformedError``."""
    try:
        bundle = strict_json.load_object(data)
        found = read_single(bundle.get("dsseEnvelope"))
    except FormatError as error:
        raise MalformedError(f"a bundle cannot be read: {error.cause}") from error
    if bundle.get("mediaType") != BUNDLE_TYPE:
        raise MalformedError("a bundle is not of version 0.3")
    return found
