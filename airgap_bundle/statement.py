"""Signed statements: DSSE envelopes (DSSE v1.0.2, JSON form) around canonical JSON, signed with both halves.

The payload type is part of what is signed, so that a statement of one kind never passes for another. Both signatures
are over the same pre-authentication encoding; ML-DSA signs it in the ``ml-dsa-65/1`` scheme of TUF (TAP 21).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Signature

from airgap_bundle import strict_json
from airgap_bundle.dsse import ReadEnvelope, read_envelope
from airgap_bundle.errors import (
    FormatError,
    HalfSignatureError,
    MalformedError,
    PayloadTypeError,
    SignatureError,
    UnknownSignerError,
    UnsignedError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airgap_bundle.keys import PublicSigner, Signer

MAX_STATEMENT_BYTES = 1 << 20
WAIVER_TYPE = "application/vnd.sovereign.waiver.v1+json"
_HALVES = 2


def sign_statement(payload: dict[str, Any], payload_type: str, signer: Signer) -> bytes:
    """The envelope of ``payload``. Raises ``FormatError`` for a payload without canonical JSON."""
    envelope = Envelope(strict_json.dumps(payload), payload_type, {})
    for signature in signer.sign(envelope.pae()):
        envelope.signatures[signature.keyid] = signature
    return strict_json.dumps(envelope.to_dict())


def verify_statement(data: bytes, payload_type: str, keys: Sequence[PublicSigner]) -> tuple[dict[str, Any], str]:
    """Payload and signer's name of the envelope ``data``, signed with both halves of one of ``keys``.

    Raises ``MalformedError``, ``PayloadTypeError``, ``UnsignedError``, ``HalfSignatureError``, ``UnknownSignerError``
    or ``SignatureError``.
    The payload is parsed after its signatures were verified.
    """
    try:
        envelope = _parse(data)
        if envelope.payload_type != payload_type:
            raise PayloadTypeError(f"statement is a {envelope.payload_type[:80]}, not a {payload_type}")
        signatures = _by_key(envelope)
        signer = _find_signer(set(signatures), keys)
        for key in signer.keys:
            try:
                key.verify_signature(signatures[key.keyid], envelope.pae())
            except UnverifiedSignatureError as error:
                raise SignatureError(f"statement: a signature of {signer.name} is invalid") from error
        return strict_json.load_object(envelope.payload, max_bytes=MAX_STATEMENT_BYTES), signer.name
    except FormatError as error:
        raise MalformedError(f"statement: {error.cause}") from error


def read_unverified(data: bytes) -> dict[str, Any]:
    """The payload of ``data``, for showing to a person; nothing about it is verified. Raises ``FormatError``."""
    return strict_json.load_object(_parse(data).payload, max_bytes=MAX_STATEMENT_BYTES)


def _parse(data: bytes) -> ReadEnvelope:
    return read_envelope(strict_json.load_object(data, max_bytes=MAX_STATEMENT_BYTES), _HALVES)


def _by_key(envelope: ReadEnvelope) -> dict[str, Signature]:
    """The signatures, each under the key that made it. Raises ``FormatError`` where one names none, or two the same."""
    found: dict[str, Signature] = {}
    for item in envelope.signatures:
        if item.keyid is None or item.keyid in found:
            raise FormatError("a signature names no key, or two name the same")
        found[item.keyid] = Signature(item.keyid, item.data.hex())
    return found


def _find_signer(signed: set[str], keys: Sequence[PublicSigner]) -> PublicSigner:
    if not signed:
        raise UnsignedError("statement carries no signature")
    for signer in keys:
        held = {key.keyid for key in signer.keys}
        if signed == held:
            return signer
        if signed < held:
            raise HalfSignatureError(f"statement: {signer.name} signed with one of the two algorithms only")
    raise UnknownSignerError(
        "statement is signed by nobody whose key is known here", "known signers are enrolled by name"
    )
