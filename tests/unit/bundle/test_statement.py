from __future__ import annotations

import base64
import json

import pytest
from securesystemslib.dsse import Envelope

from airgap_bundle.errors import (
    HalfSignatureError,
    MalformedError,
    PayloadTypeError,
    SignatureError,
    UnsignedError,
    VerificationError,
)
from airgap_bundle.statement import WAIVER_TYPE, read_unverified, sign_statement, verify_statement
from tests.bundles import signer

PAYLOAD = {"schema": 1, "reason": "the uploader is unverified, and known"}
KEYS = [signer("builder").public, signer("architect").public]
SIGNED = sign_statement(PAYLOAD, WAIVER_TYPE, signer("architect"))


def changed(**fields: object) -> bytes:
    return json.dumps({**json.loads(SIGNED), **fields}).encode()


def test_a_statement_is_verified_with_both_halves_and_names_its_signer() -> None:
    assert verify_statement(SIGNED, WAIVER_TYPE, KEYS) == (PAYLOAD, "architect")


def test_equal_payloads_are_signed_over_equal_bytes() -> None:
    again = sign_statement(dict(reversed(PAYLOAD.items())), WAIVER_TYPE, signer("architect"))
    assert json.loads(again)["payload"] == json.loads(SIGNED)["payload"]


def test_a_stranger_is_refused() -> None:
    with pytest.raises(SignatureError, match="nobody whose key is known"):
        verify_statement(SIGNED, WAIVER_TYPE, KEYS[:1])


@pytest.mark.parametrize("kept", [0, 1])
def test_one_half_is_not_enough(kept: int) -> None:
    with pytest.raises(HalfSignatureError):
        verify_statement(changed(signatures=[json.loads(SIGNED)["signatures"][kept]]), WAIVER_TYPE, KEYS)


def test_halves_of_two_persons_are_nobodys_signature() -> None:
    other = json.loads(sign_statement(PAYLOAD, WAIVER_TYPE, signer("builder")))["signatures"]
    mixed = [json.loads(SIGNED)["signatures"][0], other[1]]
    with pytest.raises(SignatureError):
        verify_statement(changed(signatures=mixed), WAIVER_TYPE, KEYS)


def test_no_signature_is_unsigned() -> None:
    with pytest.raises(UnsignedError):
        verify_statement(changed(signatures=[]), WAIVER_TYPE, KEYS)


def test_another_type_is_refused_before_its_signature_is_looked_at() -> None:
    with pytest.raises(PayloadTypeError, match="not a application"):
        verify_statement(SIGNED, "application/vnd.sovereign.revocation.v1+json", KEYS)


def test_a_changed_payload_is_refused() -> None:
    forged = base64.b64encode(b'{"schema":1,"reason":"because"}').decode()
    with pytest.raises(SignatureError, match="is invalid"):
        verify_statement(changed(payload=forged), WAIVER_TYPE, KEYS)


MALFORMED = [
    b"",
    b"[]",
    changed(note="unsigned"),
    changed(payload="not base64!"),
    changed(payload=json.loads(SIGNED)["payload"].rstrip("=") + "\n"),
    changed(signatures="none"),
    changed(signatures=[1]),
    changed(signatures=json.loads(SIGNED)["signatures"] * 2),
    changed(signatures=[json.loads(SIGNED)["signatures"][0]] * 2),
    SIGNED.replace(b'"payloadType"', b'"payload":"","payloadType"'),
]


@pytest.mark.parametrize("data", MALFORMED)
def test_anything_but_the_one_envelope_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        verify_statement(data, WAIVER_TYPE, KEYS)


def test_a_signed_payload_is_still_read_strictly() -> None:
    envelope = Envelope(b'{"a":1,"a":2}', WAIVER_TYPE, {})
    for found in signer("architect").sign(envelope.pae()):
        envelope.signatures[found.keyid] = found
    with pytest.raises(MalformedError, match="twice"):
        verify_statement(json.dumps(envelope.to_dict()).encode(), WAIVER_TYPE, KEYS)


def test_reading_without_verifying_is_a_function_of_its_own() -> None:
    assert read_unverified(SIGNED) == PAYLOAD
    with pytest.raises(VerificationError):
        verify_statement(SIGNED, WAIVER_TYPE, [])
