"""What a signature on an image says, read strictly once its bytes are known to be signed. Pure.

Two spellings: cosign's simple-signing payload (containers/image `containers-signature(5)`), and an in-toto statement
with cosign's own predicate. A statement of another predicate (provenance, an SBOM) about the same image by the same
signer is no signature on it: whoever scans an image signs statements too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airgap_bundle import strict_json
from airgap_bundle.errors import DigestMismatchError, FormatError, MalformedError, PayloadTypeError

if TYPE_CHECKING:
    from airgap_bundle.digest import Digest

SIMPLE_SIGNING_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
SIMPLE_SIGNING_CLAIM = "cosign container image signature"
STATEMENT_PAYLOAD = "application/vnd.in-toto+json"
STATEMENT_TYPES = ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")
SIGN_PREDICATE = "https://sigstore.dev/cosign/sign/v1"


def check_simple_signing(payload: bytes, digest: Digest) -> str:
    """The `docker-reference` of a payload about ``digest``.

    Raises ``MalformedError``, ``PayloadTypeError`` for another claim, ``DigestMismatchError`` for another image.
    """
    critical = _object(_load(payload), "critical")
    if critical.get("type") != SIMPLE_SIGNING_CLAIM:
        raise PayloadTypeError(f"the payload is of type {str(critical.get('type'))[:80]!r}, no image signature")
    signed = _object(critical, "image").get("docker-manifest-digest")
    if signed != digest:
        raise DigestMismatchError(f"the signature is over {str(signed)[:80]}, not over {digest}")
    reference = _object(critical, "identity").get("docker-reference")
    if not isinstance(reference, str):
        raise MalformedError("the signature's docker-reference is no text")
    return reference


def check_statement(payload_type: str, payload: bytes, digest: Digest) -> None:
    """That a DSSE payload signs ``digest`` as an image. It has no `docker-reference`: cosign writes none.

    Raises ``MalformedError``, ``PayloadTypeError`` for another payload or predicate, ``DigestMismatchError``.
    """
    if payload_type != STATEMENT_PAYLOAD:
        raise PayloadTypeError(f"the envelope holds {payload_type[:80]!r}, no in-toto statement")
    value = _load(payload)
    if value.get("_type") not in STATEMENT_TYPES:
        raise PayloadTypeError(f"the statement is of type {str(value.get('_type'))[:80]!r}")
    if value.get("predicateType") != SIGN_PREDICATE:
        raise PayloadTypeError(f"the statement's predicate is {str(value.get('predicateType'))[:80]!r}, no signature")
    subjects = value.get("subject")
    if not isinstance(subjects, list) or len(subjects) != 1:
        raise MalformedError("the statement has not exactly one subject")
    named = _object({"subject": subjects[0]}, "subject")
    if _object(named, "digest").get("sha256") != digest.hex:
        raise DigestMismatchError(f"the statement is about another image than {digest}")


def _load(payload: bytes) -> dict[str, Any]:
    try:
        return strict_json.load_object(payload)
    except FormatError as error:
        raise MalformedError(f"what was signed is no strict json: {error.cause}") from error


def _object(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    if not isinstance(found, dict):
        raise MalformedError(f"{key} of what was signed is no object")
    return found
