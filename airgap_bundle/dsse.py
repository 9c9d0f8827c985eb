"""DSSE envelopes (v1.0.2, JSON form), read in one place: statements, publishers' signatures, signatures on images.

What a reader must hold to is in ``read_envelope``; how many signatures there may be, by whom, and over which type of
payload is the business of whoever asks. Nothing here is verified.
"""

from __future__ import annotations

from dataclasses import dataclass

from securesystemslib.dsse import Envelope

from airgap_bundle import armour
from airgap_bundle.errors import FormatError

_MANY = 64
_MEMBERS = {"payload", "payloadType", "signatures"}


@dataclass(frozen=True)
class EnvelopeSignature:
    """A signature's bytes, and the id of the key that it says made them; None where it says nothing."""

    keyid: str | None
    data: bytes


@dataclass(frozen=True)
class ReadEnvelope:
    """An envelope, unverified."""

    payload_type: str
    payload: bytes
    signatures: tuple[EnvelopeSignature, ...]

    def pae(self) -> bytes:
        """What its signatures are over: type and payload in the pre-authentication encoding."""
        return Envelope(self.payload, self.payload_type, {}).pae()


def read_envelope(value: object, max_signatures: int) -> ReadEnvelope:
    """The envelope in ``value``, which came from strict JSON.

    Raises ``FormatError`` for members other than the three, base64 in another than its one spelling, and more than
    ``max_signatures``.
    """
    if not isinstance(value, dict) or set(value) != _MEMBERS or not isinstance(value["payloadType"], str):
        raise FormatError("an envelope is exactly payload, payloadType and signatures")
    listed = value["signatures"]
    if not isinstance(listed, list) or len(listed) > max_signatures:
        raise FormatError(f"signatures must be a list of at most {max_signatures}")
    payload = armour.decode(value["payload"])
    return ReadEnvelope(value["payloadType"], payload, tuple(_signature(item) for item in listed))


def read_single(value: object) -> tuple[ReadEnvelope, bytes]:
    """As ``read_envelope``, where exactly one signature may be; the second value is that signature."""
    envelope = read_envelope(value, _MANY)
    if len(envelope.signatures) != 1:
        raise FormatError("exactly one signature expected: of several, verifiers would read different ones")
    return envelope, envelope.signatures[0].data


def _signature(item: object) -> EnvelopeSignature:
    if not isinstance(item, dict) or not {"sig"} <= set(item) <= {"sig", "keyid"}:
        raise FormatError("a signature is not a key id and base64")
    if not isinstance(item.get("keyid"), str | None):
        raise FormatError("a key id is no text")
    return EnvelopeSignature(item.get("keyid"), armour.decode(item["sig"]))
