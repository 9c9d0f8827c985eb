"""What an attacker tries with a publisher's signature and the folder that it lies in."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

from airgap_bundle.errors import (
    BundleError,
    DigestMismatchError,
    MalformedError,
    MissingFileError,
    PayloadTypeError,
    SignatureError,
    SpecialFileError,
    UnlistedFileError,
    UnsafeNameError,
)
from airgap_bundle.provenance.errors import (
    CertificateExpiredError,
    CertificateRevokedError,
    CertificateUsageError,
    UnknownPublisherError,
)
from airgap_bundle.provenance.manifest import Identity, Manifest, Piece, parse_statement, to_statement
from airgap_bundle.provenance.publisher_signature import PAYLOAD_TYPE, sign_manifest
from airgap_bundle.provenance.publishers import Publisher, certificate_fingerprint
from tests.unit.provenance.publisher_bench import (
    DAY,
    NOW,
    key,
    leaf,
    publisher,
    root,
    sign_folder,
    sign_with_certificate,
    verify_folder,
    write_folder,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

FIRST, SECOND = "weights-00001-of-00002.gguf", "weights-00002-of-00002.gguf"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "small-model")


def _state(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _refused(
    folder: Path, signature: bytes, error: type[BundleError], trusted: Sequence[Publisher] | None = None
) -> BundleError:
    before, open_before = _state(folder), len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
    with pytest.raises(error) as refused:
        verify_folder(folder, signature, trusted)
    assert type(refused.value) is error
    assert _state(folder) == before
    assert len(os.listdir("/proc/self/fd")) == open_before  # noqa: PTH208 - a count
    return refused.value


def _changed(signature: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    value = json.loads(signature)
    change(value)
    return json.dumps(value).encode()


def test_the_folder_as_it_was_signed_verifies(folder: Path) -> None:
    assert verify_folder(folder, sign_folder(folder)).publisher == "architect"


@pytest.mark.parametrize("name", ["extra.gguf", ".git/config", ".gitattributes", ".hidden", "a/c", "model.sig.bak"])
def test_an_unsigned_file_is_refused_wherever_it_lies(folder: Path, name: str) -> None:
    signature = sign_folder(folder)
    write_folder(folder, {name: b"unsigned"})
    _refused(folder, signature, UnlistedFileError)


@pytest.mark.parametrize("name", ["empty", "a/empty", ".git"])
def test_an_empty_folder_is_refused(folder: Path, name: str) -> None:
    signature = sign_folder(folder)
    (folder / name).mkdir()
    _refused(folder, signature, UnlistedFileError)


def test_a_missing_file_is_refused(folder: Path) -> None:
    signature = sign_folder(folder)
    (folder / SECOND).unlink()
    _refused(folder, signature, MissingFileError)


@pytest.mark.parametrize("at", [0, -1])
def test_a_flipped_byte_is_refused(folder: Path, at: int) -> None:
    signature = sign_folder(folder)
    data = bytearray((folder / FIRST).read_bytes())
    data[at] ^= 1
    (folder / FIRST).write_bytes(bytes(data))
    _refused(folder, signature, DigestMismatchError)


def test_shards_that_changed_places_are_refused(folder: Path) -> None:
    signature = sign_folder(folder)
    first, second = (folder / FIRST).read_bytes(), (folder / SECOND).read_bytes()
    (folder / FIRST).write_bytes(second)
    (folder / SECOND).write_bytes(first)
    _refused(folder, signature, DigestMismatchError)


@pytest.mark.parametrize("make", [lambda p: p.symlink_to(FIRST), os.mkfifo])
def test_what_is_no_regular_file_is_refused(folder: Path, make: Callable[[Path], None]) -> None:
    signature = sign_folder(folder)
    (folder / SECOND).unlink()
    make(folder / SECOND)
    _refused(folder, signature, SpecialFileError)


def test_a_folder_behind_a_symbolic_link_is_refused(folder: Path) -> None:
    signature = sign_folder(folder)
    (folder / "a").rename(folder.parent / "elsewhere")
    (folder / "a").symlink_to("../elsewhere", target_is_directory=True)
    _refused(folder, signature, SpecialFileError)


def test_a_strangers_signature_says_nothing(folder: Path) -> None:
    _refused(folder, sign_folder(folder, "stranger"), UnknownPublisherError)


def test_a_stranger_who_names_the_publishers_key_is_refused(folder: Path) -> None:
    own = json.loads(sign_folder(folder))["verificationMaterial"]
    forged = _changed(sign_folder(folder, "stranger"), lambda value: value.update(verificationMaterial=own))
    _refused(folder, forged, SignatureError)


def test_the_key_that_a_signature_brings_along_is_not_trusted(folder: Path) -> None:
    pem = key("stranger").public_key()
    raw = base64.b64encode(pem.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).decode()
    material = {"publicKey": {"rawBytes": raw}, "tlogEntries": []}
    forged = _changed(sign_folder(folder, "stranger"), lambda value: value.update(verificationMaterial=material))
    _refused(folder, forged, UnknownPublisherError)


def test_a_changed_list_of_files_is_refused(folder: Path) -> None:
    def shorten(value: dict[str, Any]) -> None:
        payload = json.loads(base64.b64decode(value["dsseEnvelope"]["payload"]))
        payload["predicate"]["resources"].pop()
        value["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()

    _refused(folder, _changed(sign_folder(folder), shorten), SignatureError)


def test_another_payload_type_is_refused(folder: Path) -> None:
    def retype(value: dict[str, Any]) -> None:
        value["dsseEnvelope"]["payloadType"] = "application/json"

    _refused(folder, _changed(sign_folder(folder), retype), PayloadTypeError)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda v: v["dsseEnvelope"].update(signatures=[]), id="no signature"),
        pytest.param(lambda v: v.update(mediaType="application/vnd.dev.sigstore.bundle.v0.2+json"), id="other version"),
        pytest.param(lambda v: v.update(surprise=1), id="unknown member"),
        pytest.param(lambda v: v.update(verificationMaterial={"tlogEntries": []}), id="no material"),
        pytest.param(lambda v: v["verificationMaterial"].update(x509CertificateChain={}), id="two kinds of material"),
        pytest.param(lambda v: v["verificationMaterial"].update(tlogEntries=[{}]), id="a log entry nobody checks"),
        pytest.param(lambda v: v.update(verificationMaterial={"certificate": {"rawBytes": "AA=="}}), id="keyless"),
        pytest.param(lambda v: v["verificationMaterial"].update(publicKey={"hint": ""}), id="no fingerprint"),
    ],
)
def test_a_bundle_that_could_be_read_in_two_ways_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    _refused(folder, _changed(sign_folder(folder), change), MalformedError)


def test_a_key_written_twice_in_the_bundle_is_refused(folder: Path) -> None:
    signature = sign_folder(folder)
    _refused(folder, signature[:-1] + b',"mediaType":"x"}', MalformedError)


@pytest.mark.parametrize(
    ("certificate", "error"),
    [
        pytest.param(leaf(begin=NOW - 20 * DAY, end=NOW - DAY), CertificateExpiredError, id="expired"),
        pytest.param(leaf(begin=NOW + DAY, end=NOW + 9 * DAY), CertificateExpiredError, id="not valid yet"),
        pytest.param(leaf(authority="outsider"), UnknownPublisherError, id="foreign"),
        pytest.param(leaf(signing=False), CertificateUsageError, id="not for signatures"),
        pytest.param(leaf(purpose=ExtendedKeyUsageOID.SERVER_AUTH), CertificateUsageError, id="a server's"),
        pytest.param(leaf(is_authority=True), CertificateUsageError, id="an authority's"),
    ],
)
def test_a_certificate_that_does_not_carry_the_signature_is_refused(
    folder: Path, certificate: Any, error: type[BundleError]
) -> None:
    signature = sign_with_certificate(folder, certificate)
    _refused(folder, signature, error, [Publisher("architect", roots=(root(),))])


def test_a_revoked_certificate_is_refused_and_so_is_one_below_a_revoked_root(folder: Path) -> None:
    signature = sign_with_certificate(folder, leaf())
    assert verify_folder(folder, signature, [Publisher("architect", roots=(root(),))]).publisher == "architect"
    (travelling,) = json.loads(signature)["verificationMaterial"]["x509CertificateChain"]["certificates"]
    own = hashlib.sha256(base64.b64decode(travelling["rawBytes"])).hexdigest()
    for revoked in (certificate_fingerprint(root()), own):
        trusted = [Publisher("architect", roots=(root(),), revoked=frozenset({revoked}))]
        _refused(folder, signature, CertificateRevokedError, trusted)


def test_the_key_of_another_curve_and_the_publishers_name_do_not_help(folder: Path) -> None:
    _refused(folder, sign_folder(folder), UnknownPublisherError, [publisher("architect", "secp384r1")])


def _signed(value: dict[str, Any]) -> bytes:
    """A statement that the publisher really signed, with whatever it says."""
    good = sign_manifest(Manifest(Identity("m"), (Piece("f", "0" * 64),)), key("architect"))
    envelope = Envelope(json.dumps(value).encode(), PAYLOAD_TYPE, {})
    sig = CryptoSigner(key("architect")).sign(envelope.pae()).signature
    bundle = json.loads(good)
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(envelope.payload).decode()
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(bytes.fromhex(sig)).decode()
    return json.dumps(bundle).encode()


def _statement(*pieces: Piece, shard_size: int | None = None) -> dict[str, Any]:
    """A statement of ``pieces`` whose subject fits them, in whatever order and shape."""
    value: dict[str, Any] = json.loads(to_statement(Manifest(Identity("small-model"), pieces)))
    if shard_size is not None:
        value["predicate"]["serialization"].update(method="shards", shard_size=shard_size)
    return value


A, B = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(_statement(Piece("g", A), Piece("f", B)), id="files out of order"),
        pytest.param(_statement(Piece("f", A), Piece("f", A)), id="one file twice"),
        pytest.param(_statement(Piece("f", A, 4, 8), Piece("f", B, 0, 4), shard_size=4), id="shards out of order"),
        pytest.param(_statement(Piece("f", A, 0, 4), Piece("f", B, 5, 8), shard_size=4), id="a gap between shards"),
        pytest.param(_statement(Piece("f", A, 0, 4), Piece("f", B, 3, 7), shard_size=4), id="shards that overlap"),
        pytest.param(_statement(Piece("f", A, 0, 3), Piece("f", B, 3, 7), shard_size=4), id="a short shard inside"),
        pytest.param(_statement(Piece("f", A, 4, 8), shard_size=4), id="the first shard missing"),
        pytest.param({**_statement(Piece("f", A)), "predicateType": "https://model_signing/Digests/v0.1"}, id="v0.1"),
        pytest.param({**_statement(Piece("f", A)), "subject": []}, id="no subject"),
        pytest.param({**_statement(Piece("f", A)), "_type": "https://in-toto.io/Statement/v0.1"}, id="old statement"),
    ],
)
def test_a_list_that_is_signed_and_still_ambiguous_is_refused(folder: Path, value: dict[str, Any]) -> None:
    _refused(folder, _signed(value), MalformedError)


@pytest.mark.parametrize("field", ["digest", "hash_type", "algorithm", "allow_symlinks"])
def test_a_signed_list_of_another_root_hash_or_way_of_reading_is_refused(folder: Path, field: str) -> None:
    value = _statement(Piece("f", A))
    if field == "digest":
        value["subject"][0]["digest"]["sha256"] = B
    elif field == "algorithm":
        value["predicate"]["resources"][0]["algorithm"] = "md5"
    else:
        value["predicate"]["serialization"][field] = True
    _refused(folder, _signed(value), MalformedError)


@pytest.mark.parametrize("path", ["../f", "/f", "a\\b", "con", "a\0b", "a/../b", "x\u202ey"])
def test_a_signed_name_that_is_a_path_elsewhere_is_refused(folder: Path, path: str) -> None:
    _refused(folder, _signed(_statement(Piece(path, A))), UnsafeNameError)


def test_signed_names_that_are_one_file_on_some_medium_are_refused(folder: Path) -> None:
    _refused(folder, _signed(_statement(Piece("F", A), Piece("f", B))), UnsafeNameError)


def test_a_statement_has_one_reading() -> None:
    manifest = Manifest(Identity("m", "1.0.0", "chat"), (Piece("a", A), Piece("b", B)))
    assert parse_statement(to_statement(manifest)) == manifest
