from __future__ import annotations

import hashlib
import io

import pytest

from airgap_bundle.descriptor import KINDS, TITLE, Descriptor, artifact_type, kind_of
from airgap_bundle.digest import Digest, sha256, sha256_stream
from airgap_bundle.errors import FormatError

HEX = "ab" * 32


def test_a_digest_is_its_string() -> None:
    assert Digest.parse(f"sha256:{HEX}") == f"sha256:{HEX}"
    assert Digest.from_hex(HEX).hex == HEX


@pytest.mark.parametrize(
    "text", [HEX, f"sha512:{HEX}", f"sha256:{HEX.upper()}", f"sha256:{HEX}\n", f"sha256:{HEX}0", 7, None]
)
def test_anything_else_is_no_digest(text: object) -> None:
    with pytest.raises(FormatError):
        Digest.parse(text)


def test_a_stream_is_hashed_and_copied_chunk_by_chunk() -> None:
    data = bytes(range(256)) * 8192
    sink, counts = io.BytesIO(), list[int]()
    digest, size = sha256_stream(io.BytesIO(data), sink=sink, on_bytes=counts.append)
    assert digest == sha256(data) == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert sink.getvalue() == data
    assert size == sum(counts) == len(data)


def test_a_descriptor_reads_back_and_ignores_what_it_does_not_know() -> None:
    found = Descriptor("text/plain", Digest.from_hex(HEX), 7, {TITLE: "a.txt"}, "application/x")
    assert Descriptor.from_json({**found.to_json(), "platform": {}}) == found
    assert found.title == "a.txt"


@pytest.mark.parametrize(
    "change",
    [
        {"size": -1},
        {"size": True},
        {"size": "7"},
        {"digest": "sha256:x"},
        {"mediaType": ""},
        {"urls": []},
        {"data": ""},
        {"annotations": {"a": 1}},
        {"artifactType": 5},
    ],
)
def test_a_malformed_descriptor_is_refused(change: dict[str, object]) -> None:
    value = Descriptor("text/plain", Digest.from_hex(HEX), 7).to_json()
    with pytest.raises(FormatError):
        Descriptor.from_json({**value, **change})


def test_every_kind_has_its_artifact_type() -> None:
    assert [kind_of(artifact_type(kind)) for kind in KINDS] == list(KINDS)
    assert kind_of("application/vnd.cyclonedx+json") is None
