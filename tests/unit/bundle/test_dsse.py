"""One reader of DSSE envelopes: what is refused in a statement is refused in every other envelope."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from securesystemslib.signer import SSlibKey

from airgap_bundle.build.signature_check import _by_key
from airgap_bundle.build.signature_policy import KeyPolicy
from airgap_bundle.build.signature_sources import BundleSignature
from airgap_bundle.digest import sha256
from airgap_bundle.dsse import EnvelopeSignature, read_envelope, read_single
from airgap_bundle.errors import FormatError, MalformedError, VerificationError
from airgap_bundle.provenance.publisher_signature import MEDIA_TYPE, verify_signature
from airgap_bundle.statement import WAIVER_TYPE, verify_statement
from tests.bundles import NOW
from tests.image_signatures import key_bundle, statement
from tests.sigstore_instance import new_key

if TYPE_CHECKING:
    from collections.abc import Callable

DIGEST = sha256(b"image")
KEY = new_key()
POLICY = KeyPolicy("app", SSlibKey.from_crypto(KEY.public_key(), scheme="ecdsa-sha2-nistp256"), "", DIGEST)
GOOD: dict[str, Any] = {"payload": "e30=", "payloadType": WAIVER_TYPE, "signatures": [{"keyid": "a", "sig": "YQ=="}]}
BAD: dict[str, Callable[[dict[str, Any]], object]] = {
    "a member more": lambda value: value.update(note="unsigned"),
    "a member less": lambda value: value.pop("payload"),
    "a type that is no text": lambda value: value.update(payloadType=1),
    "a payload with stray bits": lambda value: value.update(payload="e31="),
    "a payload without padding": lambda value: value.update(payload="e30"),
    "a payload in lines": lambda value: value.update(payload="e3\n0="),
    "signatures that are no list": lambda value: value.update(signatures={}),
    "a signature that is no object": lambda value: value.update(signatures=["YQ=="]),
    "a signature without bytes": lambda value: value["signatures"][0].pop("sig"),
    "a signature with stray bits": lambda value: value["signatures"][0].update(sig="YR=="),
    "a signature with a member more": lambda value: value["signatures"][0].update(cert=""),
    "a key id that is no text": lambda value: value["signatures"][0].update(keyid=1),
    "three signatures": lambda value: value.update(signatures=value["signatures"] * 3),
}


def read_as_statement(value: Any) -> None:
    verify_statement(json.dumps(value).encode(), WAIVER_TYPE, [])


def read_as_model_signature(value: Any) -> None:
    material = {"publicKey": {"hint": "0" * 64}, "tlogEntries": []}
    whole = {"mediaType": MEDIA_TYPE, "verificationMaterial": material, "dsseEnvelope": value}
    verify_signature(json.dumps(whole).encode(), [], NOW)


def read_as_image_signature(value: Any) -> None:
    whole = key_bundle(KEY, statement(DIGEST)) | {"dsseEnvelope": value}
    _by_key(POLICY, BundleSignature(json.dumps(whole).encode()), b"", DIGEST)


READERS = [read_as_statement, read_as_model_signature, read_as_image_signature]


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
@pytest.mark.parametrize("read", READERS)
def test_every_reader_of_envelopes_refuses_the_same(read: Callable[[Any], None], change: Callable[[Any], None]) -> None:
    value = json.loads(json.dumps(GOOD))
    change(value)
    with pytest.raises(MalformedError):
        read(value)


@pytest.mark.parametrize("read", READERS)
def test_an_envelope_in_its_one_spelling_is_refused_for_its_signature_only(read: Callable[[Any], None]) -> None:
    with pytest.raises(VerificationError) as refused:
        read(GOOD)
    assert not isinstance(refused.value, MalformedError)


def test_what_an_envelope_holds_is_read_as_it_is_spelled() -> None:
    found = read_envelope(GOOD, 1)
    assert (found.payload_type, found.payload) == (WAIVER_TYPE, b"{}")
    assert found.signatures == (EnvelopeSignature("a", b"a"),)
    assert found.pae() == b"DSSEv1 %d %s 2 {}" % (len(WAIVER_TYPE), WAIVER_TYPE.encode())


@pytest.mark.parametrize("count", [0, 2])
def test_where_one_signature_may_be_there_is_exactly_one(count: int) -> None:
    with pytest.raises(FormatError, match="exactly one signature"):
        read_single(GOOD | {"signatures": GOOD["signatures"] * count})


def test_no_other_module_of_the_library_reads_envelopes() -> None:
    package = Path(__file__).parents[3] / "airgap_bundle"
    reading = {path.name for path in package.rglob("*.py") if '["payloadType"]' in path.read_text()}
    assert reading == {"dsse.py"}
