"""What an attacker tries on the way of a model into the engine. Each refusal has a class of its own."""

from __future__ import annotations

import json
import os
import struct
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.digest import sha256
from appliance.models.errors import (
    FileDigestError,
    FileSizeError,
    GgufCountError,
    GgufDuplicateKeyError,
    GgufLengthError,
    GgufMismatchError,
    GgufTensorError,
    ModelFileError,
    ModelGateError,
    ModelRefusedError,
    RecordRollbackError,
    RecordSlotError,
    WaiverExpiredError,
    WaiverFormatError,
    WaiverHalfSignedError,
    WaiverNotYetValidError,
    WaiverScopeError,
    WaiverSignerError,
    WaiverSubjectError,
)
from tests.unit.models.small_release import BOTH, NOW, STANDARD, Site, gguf, signer, text, waiver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith("waiver-")}


def _refused(site: Site, error: type[ModelGateError]) -> ModelGateError:
    """The gate refuses with exactly ``error``, opens nothing and changes nothing."""
    before, open_before = _files(site.folder), len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
    with pytest.raises(error) as refused:
        site.open()
    assert type(refused.value) is error
    assert refused.value.exit_code == 3
    assert _files(site.folder) == before
    assert len(os.listdir("/proc/self/fd")) == open_before  # noqa: PTH208 - a count
    return refused.value


def test_a_file_replaced_after_the_check_with_the_same_size_and_mtime_is_not_what_is_loaded(tmp_path: Path) -> None:
    site = Site(tmp_path)
    before = site.weights_file.stat()
    model = site.open()
    try:
        forged = tmp_path / "forged"
        forged.write_bytes(bytes(len(site.weights)))
        os.utime(forged, ns=(before.st_atime_ns, before.st_mtime_ns))
        forged.rename(site.weights_file)
        assert site.weights_file.stat().st_mtime_ns == before.st_mtime_ns
        with open(f"/proc/self/fd/{model.fd_weights}", "rb") as loaded:  # noqa: PTH123 - the path that the engine opens
            assert loaded.read() == site.weights
    finally:
        model.close()
    _refused(site, FileDigestError)


@pytest.mark.parametrize("at", [0, 30, -1])
def test_a_flipped_byte_anywhere_in_the_weights_is_refused(tmp_path: Path, at: int) -> None:
    site = Site(tmp_path)
    data = bytearray(site.weights)
    data[at] ^= 1
    before = site.weights_file.stat()
    site.weights_file.write_bytes(bytes(data))
    os.utime(site.weights_file, ns=(before.st_atime_ns, before.st_mtime_ns))
    _refused(site, FileDigestError)


def test_a_flipped_byte_in_the_template_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)
    (tmp_path / "chat_template.jinja").write_bytes(site.template.replace(b"User", b"user"))
    _refused(site, FileDigestError)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0"])
def test_a_file_of_another_length_is_refused(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    site = Site(tmp_path)
    site.weights_file.write_bytes(change(site.weights))
    _refused(site, FileSizeError)


def test_weights_behind_a_symbolic_link_are_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.weights_file.rename(tmp_path / "elsewhere")
    site.weights_file.symlink_to("elsewhere")
    _refused(site, ModelFileError)


def test_weights_that_others_may_rewrite_after_the_check_are_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.weights_file.chmod(0o666)
    _refused(site, ModelFileError)


def test_an_expired_waiver_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.waivers = [waiver(sha256(site.weights).hex, issued=NOW - timedelta(days=100), days=100)]
    _refused(site, WaiverExpiredError)


def test_a_waiver_whose_time_has_not_come_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.waivers = [waiver(sha256(site.weights).hex, issued=NOW + timedelta(days=1))]
    _refused(site, WaiverNotYetValidError)


def test_a_waiver_for_another_digest_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.waivers = [waiver("d" * 64)]
    _refused(site, WaiverSubjectError)


def test_a_waiver_for_another_model_with_these_bytes_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.waivers = [waiver(sha256(site.weights).hex, name="another")]
    _refused(site, WaiverSubjectError)


def test_a_waiver_signed_by_somebody_who_is_no_officer_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.waivers = [waiver(sha256(site.weights).hex, by="stranger", officer="officer")]
    _refused(site, WaiverSignerError)


def test_a_stranger_with_an_officers_name_is_no_officer(tmp_path: Path) -> None:
    site = Site(tmp_path)
    envelope = json.loads(waiver(sha256(site.weights).hex, by="stranger", officer="officer"))
    ids = [signature["keyid"] for signature in json.loads(waiver(sha256(site.weights).hex))["signatures"]]
    for signature, keyid in zip(envelope["signatures"], ids, strict=True):
        signature["keyid"] = keyid
    site.waivers = [json.dumps(envelope).encode()]
    _refused(site, WaiverSignerError)


@pytest.mark.parametrize("half", [0, 1])
def test_a_waiver_with_one_of_its_two_signatures_is_refused(tmp_path: Path, half: int) -> None:
    site = Site(tmp_path)
    envelope = json.loads(site.waivers[0])
    del envelope["signatures"][half]
    site.waivers = [json.dumps(envelope).encode()]
    _refused(site, WaiverHalfSignedError)


def test_a_waiver_without_any_signature_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)
    envelope = json.loads(site.waivers[0])
    envelope["signatures"] = []
    site.waivers = [json.dumps(envelope).encode()]
    _refused(site, WaiverSignerError)


def test_a_waiver_whose_text_was_changed_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)
    other = json.loads(waiver(sha256(site.weights).hex, days=300))
    envelope = json.loads(site.waivers[0])
    envelope["payload"] = other["payload"]
    site.waivers = [json.dumps(envelope).encode()]
    _refused(site, WaiverSignerError)


def test_a_waiver_that_reaches_for_a_digest_or_licence_check_is_refused(tmp_path: Path) -> None:
    for beyond in ("licence-accepted", "weights-digest", "weights-signed"):
        site = Site(tmp_path)
        site.waivers = [waiver(sha256(site.weights).hex, waives=[*BOTH, beyond])]
        _refused(site, WaiverScopeError)


def test_a_waiver_without_an_end_in_sight_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.waivers = [waiver(sha256(site.weights).hex, days=5000)]
    _refused(site, WaiverScopeError)


def test_a_signed_statement_that_is_no_waiver_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)

    def other_kind(payload: dict[str, Any]) -> None:
        payload["kind"] = "licence"

    site.waivers = [waiver(sha256(site.weights).hex, change=other_kind)]
    _refused(site, WaiverFormatError)


def test_a_waiver_for_a_host_waives_nothing_of_a_model(tmp_path: Path) -> None:
    site = Site(tmp_path)

    def about_a_host(payload: dict[str, Any]) -> None:
        payload["kind"] = "host"

    site.waivers = [waiver(sha256(site.weights).hex, change=about_a_host)]
    _refused(site, ModelRefusedError)


def test_no_waiver_replaces_the_signers_of_a_release(tmp_path: Path) -> None:
    site = Site(tmp_path, signers=("architect",))
    refused = _refused(site, ModelRefusedError)
    assert refused.verdict is not None
    assert [check.name for check in refused.verdict.failed] == ["weights-signed"]


@pytest.mark.parametrize(
    ("part", "field", "value", "check"),
    [
        ("producer", "name", "Somebody", "producer-accepted"),
        ("producer", "jurisdiction", "XX", "jurisdiction-accepted"),
        ("licence", "spdx", "LicenseRef-Unknown", "licence-accepted"),
        ("weights", "architecture", "novel", "architecture-accepted"),
    ],
)
def test_what_the_policy_does_not_name_is_refused(
    tmp_path: Path, part: str, field: str, value: str, check: str
) -> None:
    site = Site(tmp_path)
    site.config[part][field] = value
    refused = _refused(site, ModelRefusedError)
    assert refused.verdict is not None
    assert check in {c.name for c in refused.verdict.failed}


def test_an_older_record_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path, version="0.9.0")
    site.config["version"] = "0.9.0"
    _refused(site, RecordRollbackError)


def test_the_record_of_model_a_in_the_place_of_model_b_is_refused(tmp_path: Path) -> None:
    _refused(Site(tmp_path, slot="gemma3-1b"), RecordSlotError)


def test_producer_and_licence_in_the_weights_own_metadata_count_for_nothing(tmp_path: Path) -> None:
    claims = [(b"general.license", 8, text(b"apache-2.0")), (b"general.author", 8, text(b"Google"))]
    site = Site(tmp_path, weights=gguf([*STANDARD, *claims]))
    site.config["producer"]["name"] = "Somebody"
    site.config["licence"]["spdx"] = "LicenseRef-Unknown"
    _refused(site, ModelRefusedError)


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        pytest.param(gguf(n_kv=1 << 63), GgufCountError, id="n_kv 2^63"),
        pytest.param(gguf(n_tensors=1 << 63), GgufCountError, id="n_tensors 2^63"),
        pytest.param(
            gguf([*STANDARD, (b"x", 9, struct.pack("<IQ", 8, 1 << 63))]), GgufLengthError, id="list of 2^63 texts"
        ),
        pytest.param(
            gguf([*STANDARD, (b"x", 9, struct.pack("<IQ", 0, 1 << 63))]), GgufLengthError, id="list of 2^63 bytes"
        ),
        pytest.param(
            gguf([*STANDARD, (b"x", 9, struct.pack("<IQ", 12, (1 << 61) + 1))]),
            GgufLengthError,
            id="list whose size overflows 64 bits",
        ),
        pytest.param(gguf([*STANDARD, (b"x", 8, struct.pack("<Q", 4096))]), GgufLengthError, id="text beyond the file"),
        pytest.param(
            gguf([*STANDARD, (b"x", 8, struct.pack("<Q", (1 << 64) - 1))]), GgufLengthError, id="text of 2^64"
        ),
        pytest.param(gguf([*STANDARD, STANDARD[0]]), GgufDuplicateKeyError, id="architecture twice"),
        pytest.param(
            gguf([*STANDARD, (b"split.count", 2, struct.pack("<H", 2))]), GgufCountError, id="parts that are not signed"
        ),
        pytest.param(
            gguf([*STANDARD, (b"split.count", 8, text(b"2" * 300))]), GgufCountError, id="parts, in another type"
        ),
        pytest.param(gguf(tensors=[(b"t", (1 << 33, 1 << 33), 0, 0)]), GgufTensorError, id="size overflows 64 bits"),
        pytest.param(gguf(tensors=[(b"t", (0,), 0, 0)]), GgufTensorError, id="dimension 0"),
        pytest.param(
            gguf([(b"general.architecture", 8, text(b"llama")), (b"llama.context_length", 4, b"\0\1\0\0")]),
            GgufMismatchError,
            id="another architecture than the record's",
        ),
    ],
)
def test_a_hostile_header_is_refused_though_its_digest_is_signed(
    tmp_path: Path, weights: bytes, error: type[ModelGateError]
) -> None:
    _refused(Site(tmp_path, weights=weights), error)


def test_officers_keys_are_those_of_the_site_not_of_the_waiver(tmp_path: Path) -> None:
    site = Site(tmp_path)
    envelope = json.loads(waiver(sha256(site.weights).hex, by="stranger"))
    envelope["keys"] = signer("stranger").public.to_json()
    site.waivers = [json.dumps(envelope).encode()]
    _refused(site, WaiverFormatError)
